"""What the doctor says of a server's release: its end of life, and CVE-2025-14847."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from doctor_facts import HELLO, facts, host, session, worst

from datalayer.doctor import examine
from datalayer.doctor.facts import Network, Unknown
from datalayer.doctor.findings import Remark
from datalayer.doctor.judgements.release import (
    END_OF_LIFE,
    FIXED_IN,
    is_open_to_zlib_leak,
    judge_release,
)
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

AWAY = "mongodb://db.example.com:27017/app"
AT_THE_TIME = date(2026, 1, 1)


def remarks(
    version: str, *, uri: str = AWAY, today: date = AT_THE_TIME, zlib: bool = False, **build: Any
) -> list[Remark]:
    """Of a server of a version, which takes zlib or doesn't."""
    answer = {**HELLO, "compression": ["zlib"]} if zlib else HELLO
    network = Network((host("db.example.com:27017", hello=answer),))
    server = session(build={"version": version, **build})
    return list(judge_release(facts(uri=uri, network=network, server=server, today=today)))


# The end of life


def test_a_release_that_is_mended_for_long_is_no_finding() -> None:
    assert remarks("8.0.17") == []


def test_a_release_past_its_end_is_a_warning_that_names_the_day_and_a_living_one() -> None:
    [remark] = remarks("6.0.27")
    assert (remark.severity, "MongoDB 6.0.27" in remark.saw, "2025-07-31" in remark.saw) == (
        "warning",
        True,
        True,
    )
    assert "8.0 is mended until 2029-10-31" in remark.advice


@pytest.mark.parametrize(
    ("today", "severities"),
    [
        (date(2027, 3, 4), []),
        (date(2027, 3, 5), ["note"]),
        (date(2027, 8, 31), ["note"]),
        (date(2027, 9, 1), ["warning"]),
    ],
    ids=["long before", "half a year before", "the last day", "the day after"],
)
def test_the_end_is_told_half_a_year_before_it_comes(today: date, severities: list[str]) -> None:
    assert [remark.severity for remark in remarks("7.0.28", today=today)] == severities


def test_when_all_known_releases_have_ended_none_is_recommended() -> None:
    [remark] = remarks("8.0.17", today=date(2040, 1, 1))
    assert "is mended until" not in remark.advice


def test_a_release_of_which_no_end_is_published_is_no_finding() -> None:
    assert remarks("9.0.1", today=date(2040, 1, 1)) == []


def test_every_major_release_that_the_driver_speaks_to_has_its_end() -> None:
    assert {(4, 2), (4, 4), (5, 0), (6, 0), (7, 0), (8, 0)} <= set(END_OF_LIFE)


# CVE-2025-14847


@pytest.mark.parametrize(("release", "patch"), FIXED_IN.items())
def test_the_fix_closes_it_and_the_patch_before_is_open(
    release: tuple[int, int], patch: int
) -> None:
    assert is_open_to_zlib_leak(release, patch - 1)
    assert not is_open_to_zlib_leak(release, patch)


@pytest.mark.parametrize("release", [(3, 6), (4, 0), (4, 2), (7, 3), (8, 1)])
def test_releases_that_never_got_the_fix_stay_open(release: tuple[int, int]) -> None:
    assert is_open_to_zlib_leak(release, 99)


@pytest.mark.parametrize("release", [(3, 4), (8, 3), (9, 0)])
def test_releases_before_zlib_and_after_the_fix_are_not_open(release: tuple[int, int]) -> None:
    assert not is_open_to_zlib_leak(release, 0)


def test_a_server_that_takes_zlib_without_the_fix_is_a_warning_that_names_host_and_remedies() -> (
    None
):
    [remark] = remarks("8.0.16", zlib=True)
    assert remark.severity == "warning"
    assert "CVE-2025-14847" in remark.saw
    assert "db.example.com:27017" in remark.saw
    assert "upgrade to 8.0.17 or later" in remark.advice
    assert "net.compression.compressors" in remark.advice


def test_without_zlib_it_is_a_note() -> None:
    [remark] = remarks("8.0.16")
    assert (remark.severity, "it is off" in remark.saw) == ("note", True)


def test_a_release_without_a_fix_is_to_be_left() -> None:
    (_, remark) = remarks("4.2.24", zlib=True)
    assert "upgrade to a release with the fix" in remark.advice


def test_a_later_build_of_another_vendor_is_read_by_its_first_three_numbers() -> None:
    assert remarks("8.0.17-6", zlib=True) == []


# Where it weighs less, and where it can't be said


def test_on_this_machine_both_are_notes() -> None:
    loopback = "mongodb://127.0.0.1:27017/app"
    found = remarks("6.0.5", uri=loopback, zlib=True)
    assert [remark.severity for remark in found] == ["note", "note"]


@pytest.mark.parametrize(
    ("uri", "maker"),
    [
        ("mongodb://x.mongo.cosmos.azure.com:10255/app", "Azure Cosmos DB"),
        ("mongodb://x.node.us-east-1.docdb.amazonaws.com:27017/app", "Amazon DocumentDB"),
    ],
    ids=["cosmos", "documentdb"],
)
def test_a_service_that_imitates_mongodb_is_not_measured_by_its_dates(
    uri: str, maker: str
) -> None:
    [remark] = remarks("5.0.0", uri=uri, zlib=True)
    assert (remark.severity, maker in remark.saw) == ("note", True)


def test_ferretdb_is_told_by_its_answer() -> None:
    [remark] = remarks("5.0.42", ferretdb={"version": "v2.7.0"})
    assert (remark.severity, "FerretDB" in remark.saw) == ("note", True)


def test_a_version_that_cannot_be_read_is_skipped() -> None:
    [remark] = remarks("unknown")
    assert (remark.severity, "'unknown'" in remark.saw) == ("skipped", True)


def test_a_server_that_does_not_tell_its_version_is_skipped_with_the_reason() -> None:
    server = session(build=Unknown("the server did not answer in time"))
    assert worst(judge_release(facts(server=server))) == [
        ("skipped", "the server's version: the server did not answer in time")
    ]


# A real server


def test_a_real_server_is_judged_by_its_version_and_by_what_it_answers_to_an_offer_of_zlib(
    mongod: EmbeddedMongo,
) -> None:
    report = examine(Settings(databases={"default": {"uri": mongod.uri_for("app")}}))
    saw = [finding.saw for finding in report.of("server")]
    assert report.healthy
    [version] = (each.rpartition("MongoDB ")[2] for each in saw if "has a primary" in each)
    release, patch = tuple(map(int, version.split(".")[:2])), int(version.split(".")[2])
    leaks = [each for each in saw if "CVE-2025-14847" in each]
    if is_open_to_zlib_leak(release, patch):
        [leak] = leaks
        assert f"who reaches {mongod.hosts[0]} reads" in leak
    else:
        assert leaks == []
