"""The spool believes nothing that it finds in its directory: what it has not written itself stays
as it is, and what is damaged costs itself alone and is kept."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from typing import Any

import bson
import pytest
from recorded_events import framed

from datalayer.recorder.spool import spool as spool_module
from datalayer.recorder.spool.directory import UntrustedError
from datalayer.recorder.spool.frames import BATCH, SETTLED
from datalayer.recorder.spool.segment import Stored
from datalayer.recorder.spool.spool import Spool

SOMEBODY_ELSE = 12345
HEADER = b"header"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

Open = Callable[[], Spool]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir(mode=0o700)
    return tmp_path / "spool"


@pytest.fixture
def spool(directory: Path) -> Iterator[Open]:
    """Opens the spool, as another process each time."""
    opened: list[Spool] = []

    def build() -> Spool:
        for other in opened:
            other.after_fork()
        opened.append(Spool(directory, 1 << 20))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


def document(number: int, **values: Any) -> bytes:
    return bson.encode({"_id": number, **values})


def numbers(spool: Spool, found: Iterator[Stored]) -> list[int]:
    return [bson.decode(raw)["_id"] for each in found for raw in spool.read(each.place)]


def left_by(spool: Spool, *batches: bytes) -> Path:
    """The file of a process that has died with these batches."""
    for each in batches:
        spool.append(HEADER, [each])
    assert spool._current is not None
    path = spool._path / spool._current.name
    spool.after_fork()
    return path


def old_frame(number: int, kind: int = BATCH, **values: Any) -> bytes:
    return framed(kind, time(), HEADER, [document(number, **values)])


def test_what_a_dead_process_has_left_is_found(spool: Open) -> None:
    path = left_by(spool(), document(1), document(2))
    other = spool()
    assert numbers(other, other.adopt()) == [1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_settled_is_not_found_again(spool: Open) -> None:
    first = spool()
    settled = first.append(HEADER, [document(1)])
    first.append(HEADER, [document(2)])
    first.settle(settled)
    first.after_fork()
    other = spool()
    (left,) = other.adopt()
    assert numbers(other, iter([left])) == [2]
    other.settle(left.place)
    assert list(other._path.iterdir()) == []


def link(path: Path) -> None:
    target = path.with_name("precious")
    target.write_bytes(b"\xf5DLs\x01 precious")
    path.symlink_to(target)


def second_name(path: Path) -> None:
    target = path.with_name("precious")
    target.write_bytes(old_frame(1))
    os.link(target, path)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a printer's file": lambda path: path.write_bytes(b"%!PS precious"),
    "a file of a newer version": lambda path: path.write_bytes(b"\xf5DLs\x02" + b"x" * 500),
    "a file of a much newer version": lambda path: path.write_bytes(b"\xf5DLs\x09" + b"x" * 500),
    "an empty file of another name": lambda path: path.write_bytes(b""),
    "a symbolic link": link,
    "a file with another name": second_name,
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a file that others may write": lambda path: (
        path.write_bytes(old_frame(1)),
        path.chmod(0o666),
    ),
}


def content(path: Path) -> object:
    found = path.lstat()
    inside = path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else None
    return found.st_ino, found.st_mode, inside


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_the_recorder_has_not_written_is_left_alone_and_told_once(
    spool: Open, directory: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path = directory / "1-aabbccddeeff0.spool"
    FOREIGN[kind](path)
    before = content(path)
    left_by(spool(), document(7))
    other = spool()
    assert numbers(other, other.adopt()) == [7]
    assert list(other.adopt()) == []
    assert content(path) == before
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == 1
    assert "'1-aabbccddeeff0.spool' in the recorder's spool is left alone: " in told[0]


@as_root
def test_a_file_of_another_user_is_left_alone(spool: Open, directory: Path) -> None:
    path = directory / "1-aabbccddeeff.spool"
    path.write_bytes(old_frame(1))
    os.chown(path, SOMEBODY_ELSE, -1)
    assert list(spool().adopt()) == []
    assert path.read_bytes() != b""


def test_a_name_that_holds_escape_codes_is_told_without_them(
    spool: Open, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "\x1b[31mred\n.spool").write_bytes(b"x")
    assert list(spool().adopt()) == []
    assert "\x1b" not in caplog.text
    assert len(caplog.messages) == 1


# The directory


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_directory_that_others_may_change_is_theirs_no_more(
    spool: Open, directory: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """But for one with a sticky bit, like /tmp: others can't take files away there."""
    directory.chmod(mode)
    spool()
    sticky = bool(mode & stat.S_ISVTX)
    assert stat.S_IMODE(directory.stat().st_mode) == (mode if sticky else 0o755)
    told = [str(directory) in each for each in caplog.messages]
    assert told == ([] if sticky else [True])  # which one: workers' pages keep files so too


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_a_directory_of_another_user_is_not_used(spool: Open, directory: Path, mode: int) -> None:
    directory.chmod(mode)
    os.chown(directory, SOMEBODY_ELSE, -1)
    with pytest.raises(UntrustedError, match="belongs to another user"):
        spool()


@as_root
def test_a_link_of_another_user_is_not_followed(tmp_path: Path, directory: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    Spool(tmp_path / "link", 1 << 20).close()
    os.lchown(tmp_path / "link", SOMEBODY_ELSE, -1)
    with pytest.raises(UntrustedError, match="a link that another user has made"):
        Spool(tmp_path / "link", 1 << 20)


def test_a_directory_that_was_removed_is_made_anew(spool: Open, directory: Path) -> None:
    first = spool()
    first.append(HEADER, [document(1)])
    directory.rename(directory.with_name("away"))
    assert list(first.adopt()) == []
    left_by(first, document(2))
    other = spool()
    assert numbers(other, other.adopt()) == [2]


# Damage


def test_damage_in_the_middle_costs_one_batch_and_the_file_is_kept(
    spool: Open, caplog: pytest.LogCaptureFixture
) -> None:
    path = left_by(spool(), *(document(number, text="x" * 100) for number in range(5)))
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(document(2, text="x" * 100))] ^= 1
    path.write_bytes(damaged)
    other = spool()
    found = list(other.adopt())
    assert numbers(other, iter(found)) == [0, 1, 3, 4]
    for each in found:
        assert path.exists()
        other.settle(each.place)
    kept = path.with_suffix(".damaged")
    assert list(path.parent.iterdir()) == [kept]
    assert kept.read_bytes().startswith(damaged)
    assert len(caplog.messages) == 1
    assert list(other.adopt()) == []


def test_damaged_files_of_one_name_are_both_kept(spool: Open) -> None:
    path = left_by(spool(), document(1))
    path.with_suffix(".damaged").write_bytes(b"an earlier one")
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert list(spool().adopt()) == []
    assert path.with_suffix(".damaged").read_bytes() == b"an earlier one"
    assert len(list(path.parent.glob("*.damaged"))) == 2


@pytest.mark.parametrize("missing", [1, 60, 100])
def test_a_batch_that_was_cut_off_costs_itself(
    spool: Open, caplog: pytest.LogCaptureFixture, missing: int
) -> None:
    path = left_by(spool(), document(1), document(2, text="x" * 40))
    os.truncate(path, path.stat().st_size - missing)
    other = spool()
    (left,) = other.adopt()
    assert numbers(other, iter([left])) == [1]
    other.settle(left.place)
    assert list(path.parent.iterdir()) == []
    assert caplog.messages == []


def test_a_file_that_a_crash_has_emptied_is_removed(spool: Open) -> None:
    path = left_by(spool(), document(1))
    os.truncate(path, 0)
    assert list(spool().adopt()) == []
    assert not path.exists()


def test_bytes_of_an_event_never_become_a_batch(spool: Open, directory: Path) -> None:
    forged = document(666)
    # As others could write it, of this version and of the one before, and as it stands in a file.
    template = left_by(spool(), forged)
    parts = [template.read_bytes(), template.read_bytes()[53:], old_frame(666)]
    template.unlink()
    for cut in (10, 2900):
        path = left_by(spool(), document(1), document(2, upload=b"".join(parts), tail=b"x" * 3000))
        os.truncate(path, path.stat().st_size - cut)
        other = spool()
        assert numbers(other, other.adopt()) == [1]
        other.after_fork()
        for each in directory.iterdir():
            each.unlink()


def test_a_batch_is_believed_only_where_it_was_written(spool: Open) -> None:
    path = left_by(spool(), document(1), document(2), document(3))
    whole = path.read_bytes()
    at = [whole.index(document(number)) for number in (1, 2, 3)]
    length = at[1] - at[0]
    first = 53
    path.write_bytes(whole + whole[first : first + length])
    other = spool()
    assert numbers(other, other.adopt()) == [1, 2, 3]


@pytest.mark.parametrize(
    "documents",
    [
        [b"\x00"],
        [b"\x05\x00\x00\x00"],
        [b"\xff\xff\xff\xff\x00"],
        [b"\x06\x00\x00\x00\x00\x00\x00"],
    ],
    ids=["too short", "cut", "longer than all", "more than it says"],
)
def test_a_batch_whose_documents_are_none_is_kept_and_not_delivered(
    spool: Open, directory: Path, documents: list[bytes]
) -> None:
    batch = framed(BATCH, time(), HEADER, documents)
    (directory / "1-aa.spool").write_bytes(batch + old_frame(2))
    other = spool()
    assert numbers(other, other.adopt()) == [2]
    other.close()
    assert (directory / "1-aa.spool").exists()


# Files of the version before


def test_a_file_of_the_version_before_is_delivered(spool: Open, directory: Path) -> None:
    path = directory / "1-aabbccddeeff.spool"
    settled = framed(SETTLED, time(), (0).to_bytes(8, "little"), [])
    path.write_bytes(old_frame(1) + old_frame(2) + settled + old_frame(3))
    other = spool()
    found = list(other.adopt())
    assert numbers(other, iter(found)) == [2, 3]
    other.settle(found[0].place)
    other.after_fork()
    third = spool()
    (left,) = third.adopt()
    assert numbers(third, iter([left])) == [3]
    third.settle(left.place)
    assert not path.exists()


def test_an_old_file_is_believed_up_to_the_first_damage(spool: Open, directory: Path) -> None:
    path = directory / "1-aabbccddeeff.spool"
    whole = old_frame(1) + b"damage" + old_frame(2)
    path.write_bytes(whole)
    other = spool()
    (left,) = other.adopt()
    assert numbers(other, iter([left])) == [1]
    other.settle(left.place)
    assert path.with_suffix(".damaged").read_bytes().startswith(whole)


def test_bytes_of_an_event_never_become_a_batch_of_an_old_file(
    spool: Open, directory: Path
) -> None:
    outer = old_frame(1, upload=old_frame(666), tail=b"x" * 500)
    (directory / "1-aabbccddeeff.spool").write_bytes(outer[:-300])
    assert list(spool().adopt()) == []


def test_an_old_file_that_was_cut_off_loses_the_last_batch(spool: Open, directory: Path) -> None:
    path = directory / "1-aabbccddeeff.spool"
    path.write_bytes(old_frame(1) + old_frame(2)[:-5])
    other = spool()
    (left,) = other.adopt()
    assert numbers(other, iter([left])) == [1]
    other.settle(left.place)
    assert list(directory.iterdir()) == []


# The disk


def test_a_write_that_fails_in_its_middle_leaves_nothing_behind(
    spool: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = spool()
    first.append(HEADER, [document(1)])
    write = os.write

    def fail(descriptor: int, data: Any) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "no space left")
        return write(descriptor, data[:30])

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="no space left"):
            first.append(HEADER, [document(2)])
    left_by(first, document(3))
    other = spool()
    assert numbers(other, other.adopt()) == [1, 3]


def test_a_file_that_makes_reading_fail_holds_up_no_other(
    spool: Open,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (directory / "0-aa.spool").write_bytes(old_frame(1))
    left_by(spool(), document(2))
    read_back = spool_module.read_back

    def fail(segment: Any) -> Any:
        if segment.name == "0-aa.spool":
            raise KeyError("canary")
        return read_back(segment)

    monkeypatch.setattr(spool_module, "read_back", fail)
    other = spool()
    assert numbers(other, other.adopt()) == [2]
    assert caplog.messages == ["'0-aa.spool' in the recorder's spool is left alone: KeyError"]
