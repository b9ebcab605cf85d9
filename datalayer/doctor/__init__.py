"""What commonly goes wrong between an application and its databases, looked at in one go:
five connection issues and five performance issues, with what was seen and what to do.

from datalayer.doctor import examine

report = examine()
"""

from __future__ import annotations

from datalayer.doctor.examination import Source, examine
from datalayer.doctor.findings import CHECKS, Check, Finding, Report, Severity

__all__ = ["CHECKS", "Check", "Finding", "Report", "Severity", "Source", "examine"]
