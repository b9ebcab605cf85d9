"""What is wrong, and what is to be done? From facts to findings, a check a file, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from datalayer.doctor.facts import AliasFacts
from datalayer.doctor.findings import Remark
from datalayer.doctor.judgements.authentication import judge_authentication
from datalayer.doctor.judgements.indexes import judge_indexes
from datalayer.doctor.judgements.installation import judge_installation
from datalayer.doctor.judgements.network import judge_network
from datalayer.doctor.judgements.operations import judge_operations
from datalayer.doctor.judgements.options import judge_options
from datalayer.doctor.judgements.pool import judge_budgets, judge_pool
from datalayer.doctor.judgements.resources import judge_resources
from datalayer.doctor.judgements.server import judge_server
from datalayer.doctor.judgements.settings import judge_problems, judge_settings, judge_warnings
from datalayer.doctor.judgements.usage import judge_usage

__all__ = [
    "JUDGEMENTS",
    "judge_budgets",
    "judge_installation",
    "judge_problems",
    "judge_settings",
    "judge_warnings",
]

JUDGEMENTS: Mapping[str, Callable[[AliasFacts], Iterator[Remark]]] = MappingProxyType(
    {
        "network": judge_network,
        "server": judge_server,
        "options": judge_options,
        "authentication": judge_authentication,
        "pool": judge_pool,
        "operations": judge_operations,
        "indexes": judge_indexes,
        "resources": judge_resources,
        "usage": judge_usage,
    }
)
"""What each check says about one alias."""
