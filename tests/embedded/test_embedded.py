"""The embedded server: real, quick, and gone without a trace."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from tempfile import gettempdir
from typing import Any
from urllib.parse import quote_plus

import pytest
from credentials import APP_USER
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from running_programs import python
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo
from datalayer.embedded.binary import find_mongod
from datalayer.embedded.platforms import install_advice
from datalayer.errors import EmbeddedError

Client = MongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedMongo]:
    with EmbeddedMongo() as server:
        yield server


@pytest.fixture
def server(shared_server: EmbeddedMongo) -> Iterator[EmbeddedMongo]:
    """A server that a test may kill and pause; it is brought back afterwards."""
    yield shared_server
    shared_server.start()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noted by its parent doesn't."""
    try:
        state = state_of(Path(f"/proc/{pid}"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def left_of(pids: list[int], directory: Path) -> list[object]:
    """Processes of a server that run, and its directory where it exists."""
    return [*filter(is_alive, pids), *([directory] if directory.exists() else [])]


def write_and_count(uri: str) -> int:
    with Client(uri) as client:
        things = client["test"]["things"]
        things.insert_one({})
        return things.count_documents({})


def state_of(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def busy_with_writes(server: EmbeddedMongo) -> Iterator[None]:
    """Threads that write to it, again and again."""
    enough = threading.Event()
    with Client(server.uri) as client:

        def write() -> None:
            while not enough.is_set():
                client["test"]["things"].insert_many([{"text": "x" * 1000} for _ in range(100)])

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            enough.set()
            for thread in threads:
                thread.join()


# Starting


def test_one_server_is_ready_for_writing_at_once() -> None:
    with EmbeddedMongo() as server:
        assert write_and_count(server.uri) == 1


def test_its_uri_works_without_keeping_the_object() -> None:
    assert write_and_count(EmbeddedMongo().uri) == 1


def test_it_takes_transactions(mongod: EmbeddedMongo, database_name: str) -> None:
    with Client(mongod.uri) as client:
        things = client[database_name]["things"]
        with client.start_session() as session, session.start_transaction():
            things.insert_one({"_id": 1}, session=session)
            session.abort_transaction()
        with client.start_session() as session, session.start_transaction():
            things.insert_one({"_id": 2}, session=session)
        assert list(things.find()) == [{"_id": 2}]


def test_its_ports_are_below_the_range_of_outgoing_connections(mongod: EmbeddedMongo) -> None:
    (host,) = mongod.hosts
    assert int(host.removeprefix("127.0.0.1:")) < 32768


def test_uri_for_names_a_database(mongod: EmbeddedMongo) -> None:
    with Client(mongod.uri_for("shop")) as client:
        assert client.get_default_database().name == "shop"


def test_test_commands_are_an_option(mongod: EmbeddedMongo, server: EmbeddedMongo) -> None:
    fail_point = {"configureFailPoint": "failCommand", "mode": "off"}
    with Client(mongod.uri) as client:
        assert client.admin.command(fail_point)["ok"] == 1
    with Client(server.uri) as client, pytest.raises(OperationFailure):
        client.admin.command(fail_point)


def test_server_parameters_are_passed_on() -> None:
    parameters = {"ttlMonitorSleepSecs": 1}
    with EmbeddedMongo(parameters=parameters) as server, Client(server.uri) as client:
        answer = client.admin.command({"getParameter": 1, "ttlMonitorSleepSecs": 1})
    assert answer["ttlMonitorSleepSecs"] == 1


def test_in_memory_dropped_collections_are_kept_open_for_half_a_minute(
    mongod: EmbeddedMongo,
) -> None:
    # For 300 seconds, as by default, they would be more than a process may have open.
    name = "minSnapshotHistoryWindowInSeconds"
    with MongoClient[dict[str, object]](mongod.uri) as client:
        assert client.admin.command("getParameter", 1, **{name: 1})[name] == 30


def test_its_files_can_be_kept_in_memory() -> None:
    with EmbeddedMongo(in_memory=True) as server:
        assert server.directory.parent in (Path("/dev/shm"), Path(gettempdir()))
        assert write_and_count(server.uri) == 1


def majority_waits_for_the_journal(servers: EmbeddedMongo) -> tuple[bool, int]:
    """Whether it does, and how often the journal is flushed, in milliseconds."""
    with Client(servers.uri) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        told = client.admin.command({"getParameter": 1, "journalCommitInterval": 1})
    return config["writeConcernMajorityJournalDefault"], told["journalCommitInterval"]


def test_a_majority_waits_for_the_journal_unless_it_is_told_not_to(server: EmbeddedMongo) -> None:
    assert majority_waits_for_the_journal(server) == (True, 100)
    with EmbeddedMongo(in_memory=True, journal=False) as quick:
        assert majority_waits_for_the_journal(quick) == (False, 500)
        assert write_and_count(quick.uri) == 1


def test_tmpdir_says_where_its_files_are(tmp_path: Path) -> None:
    program = """
from datalayer.embedded import EmbeddedMongo
with EmbeddedMongo() as server:
    print(server.directory.parent)
"""
    assert run_python(program, TMPDIR=str(tmp_path)).strip() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_set_needs_a_member() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        EmbeddedMongo(0)


def test_another_port_is_taken_when_the_first_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from datalayer.embedded import member

    with EmbeddedMongo() as first:
        taken = int(first.hosts[0].rpartition(":")[2])
        free = member._free_port()
        offered = iter([taken, free])
        monkeypatch.setattr(member, "_free_port", lambda: next(offered))
        with EmbeddedMongo() as second:
            assert second.hosts == (f"127.0.0.1:{free}",)
            assert write_and_count(second.uri) == 1


# Access control


def test_with_auth_the_user_can_do_everything(auth_mongod: EmbeddedMongo) -> None:
    with Client(auth_mongod.uri_for("test")) as client:
        client.get_default_database()["things"].insert_one({})
        assert "admin" in client.list_database_names()


def test_with_auth_nothing_works_without_a_password(auth_mongod: EmbeddedMongo) -> None:
    bare = f"mongodb://{auth_mongod.hosts[0]}/?directConnection=true"
    with Client(bare) as client, pytest.raises(OperationFailure, match="authentication"):
        client.list_database_names()


def test_with_auth_a_wrong_password_is_refused(auth_mongod: EmbeddedMongo) -> None:
    wrong = auth_mongod.uri.replace(quote_plus(APP_USER[1]), "wrong")
    with Client(wrong) as client, pytest.raises(OperationFailure, match="Authentication failed"):
        client.list_database_names()


def test_its_repr_shows_no_password(auth_mongod: EmbeddedMongo) -> None:
    assert repr(auth_mongod) == f"<EmbeddedMongo {auth_mongod.hosts[0]}>"


# Members that die, hang and come back


def test_a_killed_server_comes_back_with_its_data(server: EmbeddedMongo) -> None:
    before = write_and_count(server.uri)
    uri, pid = server.uri, server.pid(0)
    server.kill(0)
    assert not is_alive(pid)
    server.start(0)
    assert server.uri == uri
    assert write_and_count(server.uri) == before + 1


def test_killing_twice_does_nothing_more(server: EmbeddedMongo) -> None:
    server.kill(0)
    server.kill(0)
    server.start(0)
    assert server.primary == 0


def test_starting_a_server_that_runs_leaves_it_alone(server: EmbeddedMongo) -> None:
    pid = server.pid(0)
    server.start(0)
    assert server.pid(0) == pid


@pytest.mark.stops_processes
def test_a_paused_server_goes_on_when_resumed(server: EmbeddedMongo) -> None:
    server.pause(0)
    with pytest.raises(EmbeddedError, match=r"no primary was elected within 0\.1 s"):
        server.wait_for_primary(0.1)
    server.resume(0)
    assert server.primary == 0


@pytest.mark.stops_processes
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_paused_server_stands_still_at_once(server: EmbeddedMongo) -> None:
    tasks = Path(f"/proc/{server.pid(0)}/task")
    with busy_with_writes(server):
        for _ in range(20):
            server.pause(0)
            states = {state_of(task) for task in tasks.iterdir()}
            server.resume(0)
            assert states == {"T"}


@pytest.mark.stops_processes
def test_pausing_a_server_twice_is_pausing_it(server: EmbeddedMongo) -> None:
    server.pause(0)
    server.pause(0)
    server.resume(0)
    assert server.primary == 0


@pytest.mark.stops_processes
def test_pausing_a_server_that_was_killed_does_nothing(server: EmbeddedMongo) -> None:
    server.kill(0)
    server.pause(0)
    server.start(0)
    assert server.primary == 0


@pytest.mark.stops_processes
def test_a_paused_server_can_be_stopped() -> None:
    server = EmbeddedMongo()
    pid, directory = server.pid(0), server.directory
    server.pause(0)
    server.stop()
    assert left_of([pid], directory) == []


def test_three_members_hold_the_same_data(replset: EmbeddedMongo, database_name: str) -> None:
    with Client(replset.uri) as client:
        client[database_name]["things"].insert_one({"_id": 1})
    for member in range(3):
        with Client(replset.member_uri(member), readPreference="secondaryPreferred") as client:
            # Written with w: majority, so the last member may be about to get it.
            things = client[database_name]["things"]
            wait_until(lambda things=things: list(things.find()) == [{"_id": 1}])


def test_another_member_is_elected_when_the_primary_is_killed(replset: EmbeddedMongo) -> None:
    first = replset.primary
    replset.kill(first)
    second = replset.wait_for_primary(60)
    assert second != first
    replset.start(first)
    with Client(replset.member_uri(first)) as client:
        hello = client.admin.command("hello")
    assert hello["secondary"] or hello["isWritablePrimary"]


@pytest.mark.stops_processes
def test_another_member_is_elected_when_the_primary_hangs(replset: EmbeddedMongo) -> None:
    first = replset.primary
    replset.pause(first)
    assert replset.wait_for_primary(60) != first


def test_a_minority_elects_nobody(replset: EmbeddedMongo) -> None:
    survivor = replset.primary
    for member in {0, 1, 2} - {survivor}:
        replset.kill(member)
    with Client(replset.member_uri(survivor)) as client:
        wait_until(lambda: not client.admin.command("hello")["isWritablePrimary"])
    with pytest.raises(EmbeddedError, match="a majority of the 3 members has to run"):
        replset.wait_for_primary(0.1)


# Leaving nothing behind


def test_stop_leaves_no_process_and_no_file() -> None:
    server = EmbeddedMongo()
    pids, directory = [server.pid(0)], server.directory
    server.stop()
    assert left_of(pids, directory) == []


def test_stopping_twice_does_nothing_more() -> None:
    server = EmbeddedMongo()
    server.stop()
    server.stop()


def test_a_stopped_server_says_so() -> None:
    server = EmbeddedMongo()
    server.stop()
    with pytest.raises(EmbeddedError, match="was stopped"):
        server.start(0)


def test_an_exception_in_the_with_block_stops_it() -> None:
    with pytest.raises(RuntimeError), EmbeddedMongo() as server:
        raise RuntimeError
    with pytest.raises(EmbeddedError, match="was stopped"):
        server.pid(0)
    assert not server.directory.exists()


TELL = """
import os, signal, sys, time
from datalayer.embedded import EmbeddedMongo
server = EmbeddedMongo({members})
print(server.directory, *(server.pid(member) for member in range({members})), flush=True)
"""


def run_python(program: str, **environ: str) -> str:
    done = python("-c", program, environment=environ)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def as_told(line: str) -> tuple[list[int], Path]:
    directory, *pids = line.split()
    return [int(pid) for pid in pids], Path(directory)


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(0)", pytest.param("server.pause(0)", marks=pytest.mark.stops_processes)],
)
def test_the_end_of_the_interpreter_stops_it(end: str) -> None:
    told = run_python(TELL.format(members=1) + end)
    assert left_of(*as_told(told)) == []


def test_it_goes_soon_after_an_exit_without_clean_up() -> None:
    told = run_python(TELL.format(members=1) + "os._exit(0)")
    wait_until(lambda: not left_of(*as_told(told)))


@pytest.mark.parametrize("members", [1, 3])
def test_it_goes_soon_after_its_owner_was_killed(members: int) -> None:
    with start_python(TELL.format(members=members) + "time.sleep(60)") as owner:
        told = as_told(read_line(owner))
        owner.kill()
    wait_until(lambda: not left_of(*told))


def test_it_goes_when_its_owner_was_killed_and_left_a_child() -> None:
    program = """
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""
    with start_python(TELL.format(members=1) + program) as owner:
        told = as_told(read_line(owner))
        child = int(read_line(owner))
        owner.kill()
        try:
            wait_until(lambda: not left_of(*told))
            assert is_alive(child)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_it_may_open_more_files_than_its_owner() -> None:
    program = """
import resource
from datalayer.embedded import EmbeddedMongo
from pymongo import MongoClient

resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
with EmbeddedMongo(journal=False) as server, MongoClient(server.uri) as client:
    for number in range(200):
        client["many"][f"collection{number}"].insert_one({})
    print(len(client["many"].list_collection_names()))
"""
    assert run_python(program) == "200\n"


def test_ctrl_c_goes_to_the_owner_only() -> None:
    program = """
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    server.wait_for_primary(5)
    print("interrupted", flush=True)
"""
    with start_python(TELL.format(members=1) + program, process_group=0) as owner:
        told = as_told(read_line(owner))
        assert read_line(owner) == "ready\n"
        os.killpg(owner.pid, signal.SIGINT)
        assert read_line(owner) == "interrupted\n"
        owner.wait(60)
    assert left_of(*told) == []


def test_it_stops_also_while_a_forked_child_lives() -> None:
    program = """
child = os.fork()
if child == 0:
    time.sleep(600)
server.stop()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""
    told = run_python(TELL.format(members=1) + program)
    assert left_of(*as_told(told)) == []


def test_a_forked_child_can_use_it_and_neither_its_end_nor_stop_ends_it() -> None:
    program = """
from pymongo import MongoClient
from datalayer.embedded.platforms import install_advice
from datalayer.errors import EmbeddedError
child = os.fork()
if child == 0:
    MongoClient(server.uri).test.things.insert_one({})
    server.stop()
    try:
        server.kill(0)
    except EmbeddedError as error:
        print(error, flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(MongoClient(server.uri).test.things.count_documents({}))
"""
    told, refusal, count = run_python(TELL.format(members=1) + program).splitlines()
    assert refusal.startswith("the embedded server belongs to the process that started it")
    assert count == "1"
    assert left_of(*as_told(told)) == []


def test_its_servers_end_when_the_process_that_keeps_them_is_killed() -> None:
    with EmbeddedMongo() as server:
        pid = server.pid(0)
        server._processes._guardian.kill()
        with pytest.raises(EmbeddedError, match="make a new EmbeddedMongo"):
            server.pid(0)
    wait_until(lambda: not left_of([pid], server.directory))


def start_python(program: str, process_group: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        process_group=process_group,
    )


def read_line(owner: subprocess.Popen[str]) -> str:
    assert owner.stdout is not None
    return owner.stdout.readline()


# Finding mongod, and saying what is wrong


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_before_the_path(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    named, on_path = script(tmp_path / "named", ""), script(tmp_path / "bin" / "mongod", "")
    environ = {"DATALAYER_MONGOD": str(named), "PATH": str(on_path.parent)}
    assert find_mongod(environ) == named


def test_the_path_comes_before_the_wheel(tmp_path: Path) -> None:
    on_path = script(tmp_path / "mongod", "")
    assert find_mongod({"PATH": str(tmp_path)}) == on_path


@pytest.mark.skipif(find_spec("fiftyone") is None, reason="needs the extra [embedded]")
def test_the_wheel_is_found_without_importing_it() -> None:
    program = """
import sys
from datalayer.embedded.binary import find_mongod
print(find_mongod({}).parts[-4:], "fiftyone" in sys.modules)
"""
    assert run_python(program) == "('fiftyone', 'db', 'bin', 'mongod') False\n"


def test_without_any_mongod_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("datalayer.embedded.binary.find_spec", lambda name: None)
    with pytest.raises(EmbeddedError) as caught:
        find_mongod({"PATH": "/nowhere"})
    assert caught.value.message == (
        f"no mongod was found: {install_advice(sys.platform, platform.machine())}"
    )


def test_a_variable_that_names_no_file_is_named_in_the_error() -> None:
    with pytest.raises(EmbeddedError, match="DATALAYER_MONGOD names '/nowhere/mongod', which is"):
        find_mongod({"DATALAYER_MONGOD": "/nowhere/mongod"})


def test_a_missing_permission_to_execute_is_added(tmp_path: Path) -> None:
    named = script(tmp_path / "mongod", "")
    named.chmod(0o644)
    assert os.access(find_mongod({"DATALAYER_MONGOD": str(named)}), os.X_OK)


@pytest.mark.parametrize(
    ("says", "advice"),
    [
        (
            "mongod: error while loading shared libraries: libcurl.so.4: cannot open",
            "apt-get install libcurl4",
        ),
        (
            "mongod: error while loading shared libraries: libcrypto.so.3: cannot open",
            "needs OpenSSL 3",
        ),
        ('{"s":"E","msg":"boom","attr":{"error":"No space left on device"}}', "set TMPDIR"),
    ],
)
def test_a_server_that_does_not_start_says_why_and_what_to_do(
    tmp_path: Path, says: str, advice: str
) -> None:
    mongod = script(tmp_path / "mongod", f"echo '{says}'; exit 127")
    with pytest.raises(EmbeddedError) as caught:
        EmbeddedMongo(mongod=mongod)
    assert "did not start: it ended with exit code 127; its log says" in str(caught.value)
    assert advice in str(caught.value)


def test_a_server_that_does_not_start_leaves_nothing(tmp_path: Path) -> None:
    program = """
from datalayer.embedded import EmbeddedMongo
try:
    EmbeddedMongo(mongod="/bin/false")
except Exception as error:
    print(type(error).__name__)
"""
    assert run_python(program, TMPDIR=str(tmp_path)) == "EmbeddedError\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_program_for_this_machine_says_so(tmp_path: Path) -> None:
    mongod = tmp_path / "mongod"
    mongod.write_bytes(b"\x7fELF nothing that runs")
    mongod.chmod(0o755)
    with pytest.raises(EmbeddedError, match="mongod can't be run: Exec format error"):
        EmbeddedMongo(mongod=mongod)


def test_a_server_that_never_listens_fails_at_the_deadline(tmp_path: Path) -> None:
    mongod = script(tmp_path / "mongod", "exec sleep 600")
    with pytest.raises(EmbeddedError, match="does not listen yet: its log says 'nothing'"):
        EmbeddedMongo(mongod=mongod, timeout=0.3)


def test_a_wrapper_script_and_its_server_end_together(tmp_path: Path) -> None:
    wrapper = script(tmp_path / "mongod", f'{quote(str(find_mongod()))} "$@"; echo ended')
    with EmbeddedMongo(mongod=wrapper) as server:
        with Client(server.uri) as client:
            pid: int = client.admin.command("serverStatus")["pid"]
        assert pid != server.pid(0)
    wait_until(lambda: not left_of([pid], server.directory))
