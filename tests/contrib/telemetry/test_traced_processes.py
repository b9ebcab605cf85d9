"""Traced processes: beside another instrumentation, forked, and with nothing of it at all."""

from __future__ import annotations

from pathlib import Path

from running_programs import python, report_of


def test_commands_are_left_to_pymongos_instrumentation_while_it_listens(
    uris: dict[str, str],
) -> None:
    report = report_of("two_tracers.py", {**uris, "PYTHONWARNINGS": "error"})
    assert report == {
        "both": {"pymongos": 20, "datalayers": 0, "transactions": 1},
        "alone": {"pymongos": 0, "datalayers": 20, "transactions": 1},
    }


def test_a_forked_worker_exports_its_own_spans(uris: dict[str, str], tmp_path: Path) -> None:
    assert report_of("traced_fork.py", uris, str(tmp_path)) == {"parent": 1, "child": 2}


def test_importing_datalayer_and_its_facade_imports_nothing_of_opentelemetry() -> None:
    program = (
        "import sys; from datalayer import db, transfer, migrations; db.recorder; "
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = python("-c", program)
    assert done.stdout.strip() == "[]"
