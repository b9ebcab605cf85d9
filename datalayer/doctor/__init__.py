"""What commonly goes wrong between an application and its databases, looked at in one go:
five connection issues, five performance issues, and how migrations stand, with what was seen and
what to do::

    from datalayer.doctor import examine

    report = examine()

Probes learn facts, judgements judge them, findings are told::

    examination   in which order, and within what time?
    probes/       how is a fact learnt?
    facts         what can be known of one database?
    judgements/   what is wrong, and what is to be done about it?
    migrations    is all applied that the code has?
    findings      which checks are there, and what does a report hold?
    roles         which privileges does an application need at least?
"""

from __future__ import annotations

from datalayer.doctor.examination import Source, examine
from datalayer.doctor.findings import CHECKS, Check, Finding, Report, Severity

__all__ = ["CHECKS", "Check", "Finding", "Report", "Severity", "Source", "examine"]
