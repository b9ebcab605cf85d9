"""What does a server tell a client with the configured credentials? Nothing is written.

Questions that concern documents are answered by the server in figures and names, so that no
contents ever come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import pymongo
from pymongo import MongoClient, ReadPreference
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from datalayer import indexes
from datalayer.doctor.facts import Answer, Deadline, Document, ServerFacts, Session, Unknown
from datalayer.doctor.probes.client import diagnostic_client
from datalayer.doctor.probes.pipelines import CLIENTS, INDEX_USES, SCANS, long_operations
from datalayer.errors import DataLayerError
from datalayer.failures.connecting import Diagnosis, diagnose
from datalayer.failures.server_codes import ServerCode, is_refusal
from datalayer.indexes import CollectionDiff
from datalayer.settings import DatabaseSettings

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

Value = TypeVar("Value")
Pipeline: TypeAlias = list[dict[str, Any]]

NO_PROFILE = "the server's profiler has recorded nothing (there is no system.profile)"
_TOO_LATE = "the server did not answer in time"
_MONITOR = "{} (role clusterMonitor)"
# A set without a primary can be examined too.
_ANY_SERVER = ReadPreference.PRIMARY_PREFERRED
_MOST_COLLECTIONS = 100

_OPTIONS_REFUSED = Diagnosis(
    "options",
    "the driver refuses the options",
    "compare them with `datalayer config` and the driver's connection string options",
)


def ask_server(
    settings: DatabaseSettings, uri: str | None, deadline: Deadline, timeout_seconds: float
) -> ServerFacts | OperationFailure:
    """Open a client of our own, ask everything, and close it.

    One question may take ``timeout_seconds``; after ``deadline`` none is asked any more. ``uri``
    takes the place of the settings' own. Returns the error where the server refuses the client.
    """
    try:
        with diagnostic_client(settings, uri, timeout_seconds, name="doctor") as client:
            try:
                with pymongo.timeout(deadline.remaining(2 * timeout_seconds)):
                    client.admin.command("ping", read_preference=_ANY_SERVER)
            except PyMongoError as exc:
                if isinstance(exc, OperationFailure) and is_refusal(exc):
                    return exc
                return diagnose(exc, client.topology_description)
            return _SessionProbe(settings, client, deadline, timeout_seconds).session()
    except (DriverConfigurationError, DataLayerError):
        return _OPTIONS_REFUSED
    except PyMongoError as exc:
        return diagnose(exc, None)


class _SessionProbe:
    """Asks one server all questions within a deadline. What it refuses is ``Unknown``."""

    def __init__(
        self,
        settings: DatabaseSettings,
        client: MongoClient[Any],
        deadline: Deadline,
        timeout_seconds: float,
    ) -> None:
        self._settings = settings
        self._client = client
        self._deadline = deadline
        self._timeout_seconds = timeout_seconds
        self._admin = client.get_database("admin", read_preference=_ANY_SERVER)
        self._database = client.get_database(settings.database, read_preference=_ANY_SERVER)

    def session(self) -> Session:
        """Ask everything."""
        only_own_user, operations = self._operations()
        collections = self._collections()
        return Session(
            build=self._command("buildInfo", self._admin, "buildInfo"),
            connection_status=self._command(
                "connectionStatus", self._admin, "connectionStatus", showPrivileges=True
            ),
            collections=collections,
            replica_set=self._monitor("replSetGetStatus"),
            startup_warnings=self._startup_warnings(),
            status=self._monitor("serverStatus"),
            host_info=self._monitor("hostInfo"),
            database_stats=self._command("dbStats (role read)", self._database, "dbStats"),
            operations=operations,
            only_own_user=only_own_user,
            clients=self._rows(_MONITOR.format("inprog"), self._admin, CLIENTS),
            models=len(indexes.models_on(self._settings.alias)),
            differences=self._differences(),
            index_uses=self._index_uses(collections),
            scans=self._scans(collections),
            failed_heartbeats=_failed_heartbeats(self._client),
        )

    def _ask(self, privilege: str, question: Callable[[], Value]) -> Answer[Value]:
        """What ``question`` returns; ``privilege`` is what it takes."""
        seconds = self._deadline.remaining(self._timeout_seconds)
        if not seconds:
            return Unknown("there was no time left to ask")
        try:
            with pymongo.timeout(seconds):
                return question()
        except OperationFailure as exc:
            return Unknown(_refused(exc, privilege))
        except ServerSelectionTimeoutError:
            return Unknown("there is no primary to ask")
        except PyMongoError as exc:
            return Unknown(_TOO_LATE if exc.timeout else "the connection failed")
        except DataLayerError as exc:
            return Unknown(exc.message)

    def _command(
        self, privilege: str, database: Database[Any], name: str, value: Any = 1, **options: Any
    ) -> Answer[Document]:
        return self._ask(
            privilege,
            # A command does not take over its database's read preference.
            lambda: database.command(name, value, read_preference=_ANY_SERVER, **options),
        )

    def _monitor(self, name: str, value: Any = 1) -> Answer[Document]:
        return self._command(_MONITOR.format(name), self._admin, name, value)

    def _rows(
        self, privilege: str, source: Database[Any] | Collection[Any], pipeline: Pipeline
    ) -> Answer[tuple[Document, ...]]:
        return self._ask(privilege, lambda: tuple(source.aggregate(pipeline)))

    def _operations(self) -> tuple[bool, Answer[tuple[Document, ...]]]:
        """Everyone's, or those of the configured user; that takes no privilege."""
        privilege, slow_ms = _MONITOR.format("inprog"), self._settings.slow_ms
        everyones = self._rows(privilege, self._admin, long_operations(slow_ms))
        if not isinstance(everyones, Unknown):
            return False, everyones
        own = long_operations(slow_ms, all_users=False)
        return True, self._rows(privilege, self._admin, own)

    def _collections(self) -> Answer[tuple[Document, ...]]:
        answer = self._command(
            "listCollections (role read)",
            self._database,
            "listCollections",
            nameOnly=True,
            authorizedCollections=True,
            cursor={"batchSize": _MOST_COLLECTIONS},
        )
        if isinstance(answer, Unknown):
            return answer
        return tuple(answer["cursor"]["firstBatch"])

    def _startup_warnings(self) -> Answer[tuple[str, ...]]:
        answer = self._monitor("getLog", "startupWarnings")
        return answer if isinstance(answer, Unknown) else tuple(answer["log"])

    def _differences(self) -> Answer[tuple[CollectionDiff, ...]]:
        alias = self._settings.alias

        def differences() -> Iterator[CollectionDiff]:
            for plan in indexes.plans_on(alias):
                found = indexes.difference(self._database, plan, alias)
                if not found.in_sync:
                    yield found

        return self._ask("listIndexes (role read)", lambda: tuple(differences()))

    def _index_uses(
        self, collections: Answer[tuple[Document, ...]]
    ) -> Answer[tuple[Document, ...]]:
        if isinstance(collections, Unknown):
            return collections
        found: list[Document] = []
        for each in collections:
            name = each["name"]
            if each["type"] == "collection" and not name.startswith("system."):
                source = self._database[name]
                uses = self._rows(_MONITOR.format("indexStats"), source, INDEX_USES)
                if isinstance(uses, Unknown):
                    return uses
                found.extend({"collection": name, **use} for use in uses)
        return tuple(found)

    def _scans(self, collections: Answer[tuple[Document, ...]]) -> Answer[tuple[Document, ...]]:
        if isinstance(collections, Unknown):
            return collections
        if not any(each["name"] == "system.profile" for each in collections):
            return Unknown(NO_PROFILE)
        privilege = "find on system.profile (role dbAdmin)"
        return self._rows(privilege, self._database["system.profile"], SCANS)


def _refused(exc: OperationFailure, privilege: str) -> str:
    if exc.timeout:
        return _TOO_LATE
    if exc.code == ServerCode.Unauthorized:
        return f"needs the privilege {privilege}"
    if exc.code == ServerCode.CommandNotFound:
        return "this server does not know the command"
    return f"the server refused it (error {exc.code})"


def _failed_heartbeats(client: MongoClient[Any]) -> Mapping[str, Diagnosis]:
    return {
        f"{host}:{port}" if port is not None else host: diagnose(server.error, None)
        for (host, port), server in client.topology_description.server_descriptions().items()
        if server.error is not None
    }
