"""The public names: there, sorted, documented, and cheap to import."""

from __future__ import annotations

import importlib
import inspect
import json
import re

import pytest
from paths import DOCS
from running_programs import python

import datalayer
from datalayer import errors

PUBLIC_MODULES = (
    "datalayer",
    "datalayer.contrib.celery",
    "datalayer.contrib.flask",
    "datalayer.contrib.gunicorn",
    "datalayer.contrib.opentelemetry",
    "datalayer.contrib.prometheus",
    "datalayer.contrib.wsgi",
    "datalayer.db",
    "datalayer.doctor",
    "datalayer.documents",
    "datalayer.documents.json_schema",
    "datalayer.embedded",
    "datalayer.errors",
    "datalayer.fields",
    "datalayer.indexes",
    "datalayer.migrations",
    "datalayer.models",
    "datalayer.outbox",
    "datalayer.recorder",
    "datalayer.schema",
    "datalayer.settings",
    "datalayer.transfer",
)
USED_BY_APPLICATIONS = [
    name
    for name in PUBLIC_MODULES
    if name.rpartition(".")[2] not in ("doctor", "errors", "indexes", "settings")
]
REFERENCE = DOCS / "reference.md"

TREE = {
    "ConfigurationError": "DataLayerError",
    "NotConnectedError": "DataLayerError",
    "ConnectError": "DataLayerError",
    "AuthenticationError": "ConnectError",
    "UnavailableError": "DataLayerError",
    "OutcomeUnknownError": "DataLayerError",
    "DeadlineExceededError": "DataLayerError",
    "PoolExhaustedError": "DataLayerError",
    "TransactionError": "DataLayerError",
    "TenantError": "DataLayerError",
    "TransferError": "DataLayerError",
    "MigrationError": "DataLayerError",
    "IndexBuildError": "DataLayerError",
    "EmbeddedError": "DataLayerError",
}


def in_a_fresh_interpreter(program: str) -> object:
    done = python("-c", program, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", USED_BY_APPLICATIONS)
def test_the_reference_has_every_public_name(name: str) -> None:
    words = set(re.findall(r"\w+", REFERENCE.read_text(encoding="utf-8")))
    assert set(importlib.import_module(name).__all__) - words - set(errors.__all__) == set()


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_all_names_exactly_what_is_there_in_order(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__)
    assert [missing for missing in module.__all__ if not hasattr(module, missing)] == []


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_every_public_name_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    things = {item: getattr(module, item) for item in module.__all__}
    silent = [
        item
        for item, thing in things.items()
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and not inspect.getdoc(thing)
    ]
    assert silent == []


def test_the_errors_form_the_documented_tree() -> None:
    assert {name: getattr(errors, name).__mro__[1].__name__ for name in TREE} == TREE


def test_every_error_is_a_top_level_name() -> None:
    assert sorted(set(errors.__all__) - set(datalayer.__all__)) == []


def test_the_facade_has_the_contracts_verbs() -> None:
    from datalayer import db

    verbs = {"connect_all", "connected", "disconnect_all", "get", "status"}
    assert sorted(verbs - set(db.__all__)) == []
    assert (db.database.alias, db.database1.alias) == ("default", "database1")


def test_importing_starts_no_thread_and_opens_no_socket() -> None:
    program = """
import json, os, socket, threading
opened = []
class Recording(socket.socket):
    def __init__(self, *args, **kwargs):
        opened.append(args)
        super().__init__(*args, **kwargs)
socket.socket = Recording
import datalayer
from datalayer import db, Settings, BusinessDocument, AnalyticsDocument
print(json.dumps([threading.active_count(), len(opened)]))
"""
    assert in_a_fresh_interpreter(program) == [1, 0]


def test_importing_brings_no_framework_and_no_models() -> None:
    program = """
import json, sys
import datalayer
from datalayer import db
unwanted = ("flask", "django", "celery", "rich", "argon2", "faker", "mongomock",
            "prometheus_client", "opentelemetry", "datalayer.models", "datalayer.cli")
print(json.dumps([name for name in unwanted if name in sys.modules]))
"""
    assert in_a_fresh_interpreter(program) == []


def test_the_pytest_plugin_does_not_import_the_driver() -> None:
    program = """
import json, sys
import datalayer.pytest_plugin
print(json.dumps([name for name in ("pymongo", "mongoengine", "bson") if name in sys.modules]))
"""
    assert in_a_fresh_interpreter(program) == []


def test_warnings_are_heard_where_no_logging_is_configured() -> None:
    program = """
import contextlib, io, json, logging
import datalayer.db
text = io.StringIO()
with contextlib.redirect_stderr(text):
    logging.getLogger("datalayer.opening").warning("heard")
    logging.getLogger("datalayer.opening").info("unheard")
    logging.getLogger("datalayer.commands").warning("slow command")
print(json.dumps(text.getvalue()))
"""
    assert in_a_fresh_interpreter(program) == "heard\n"
