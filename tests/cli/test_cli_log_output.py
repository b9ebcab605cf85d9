"""What a command at a terminal says of the log."""

from __future__ import annotations

import io
import logging

import pytest

from datalayer.cli import log_output
from datalayer.cli.output import Output
from datalayer.service import connecting, connecting_log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("logger", [connecting.logger, connecting_log.logger])
def test_a_person_who_waits_for_a_database_is_told_what_for(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_output, "_nobody_listens", lambda: True)
    stderr = Terminal()
    with log_output.quiet_log(Output(stderr=stderr)):
        logger.warning("'default' is not connected yet")
    assert "'default' is not connected yet" in stderr.getvalue()
