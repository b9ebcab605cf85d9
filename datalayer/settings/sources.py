"""Where variables come from: the process's environment, a `.env` file, a mapping, keyword
arguments."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from datalayer.settings.dot_env import read_dot_env
from datalayer.settings.parsing import Findings, Given
from datalayer.settings.variables import BUILT_IN_ALIASES, known_variables, prefix_of

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_RESERVED_PREFIXES = ("DATALAYER_", "DATABASE1_", "DEFAULT_", "MONGODB_")


def gather(
    environ: Mapping[str, str] | None,
    overrides: Mapping[str, Any],
    findings: Findings | None = None,
) -> dict[str, Given]:
    """Every variable that is set: keyword arguments beat the environment, which beats `.env`.

    With a mapping given, only that and the keyword arguments count. What is wrong with the file
    is added to ``findings``.
    """
    found: dict[str, Given] = {}
    file = None
    if environ is None:
        environ, file = os.environ, read_dot_env()
        if file is not None:
            found.update((name, Given(text, ".env")) for name, text in file.values.items())
    found.update((name, Given(str(text), "environment")) for name, text in environ.items())
    found.update(
        (name.upper(), Given(str(value), "override"))
        for name, value in overrides.items()
        if value is not None
    )
    if file is not None and findings is not None:
        named = found.get("DATALAYER_ALIASES")
        further = read_aliases(named.text if named else "", [])
        known = known_variables((*BUILT_IN_ALIASES, *further))
        findings.problems.extend(file.problems(known))
        findings.warnings.extend(file.warnings(known))
    return found


def read_aliases(text: str, problems: list[str]) -> tuple[str, ...]:
    """The aliases of ``DATALAYER_ALIASES``; names that can't be used become problems."""
    aliases: list[str] = []
    for number, name in enumerate((part.strip() for part in text.split(",")), 1):
        if not name:
            continue
        why = _why_unusable(name, aliases)
        if why:
            problems.append(
                f"DATALAYER_ALIASES has a name (number {number}) that {why}; "
                "for example DATALAYER_ALIASES=archive,reports"
            )
        else:
            aliases.append(name)
    return tuple(aliases)


def _why_unusable(name: str, others: list[str]) -> str:
    if not _ALIAS.fullmatch(name):
        return "is not made of letters, digits, '_', '-' and '.', beginning with a letter"
    if name in BUILT_IN_ALIASES:
        return "is there without being listed"
    prefix = prefix_of(name)
    if prefix in _RESERVED_PREFIXES:
        return "would share the variables of another database"
    if prefix in map(prefix_of, others):
        return "is given twice, or differs from another in capitals, '-', '.' and '_' only"
    return ""
