"""Connection issue 3, of the server's release: does MongoDB still mend it, and is it open to a
known attack?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import TypeAlias

from datalayer.doctor.facts import AliasFacts, Document, Session, Unknown
from datalayer.doctor.findings import Remark, note, skipped, warning

Release: TypeAlias = tuple[int, int]

END_OF_LIFE: Mapping[Release, date] = MappingProxyType(
    {
        (3, 6): date(2021, 4, 30),
        (4, 0): date(2022, 4, 30),
        (4, 2): date(2023, 4, 30),
        (4, 4): date(2024, 2, 29),
        (5, 0): date(2024, 10, 31),
        (5, 1): date(2022, 1, 18),
        (5, 2): date(2022, 3, 22),
        (5, 3): date(2022, 7, 19),
        (6, 0): date(2025, 7, 31),
        (6, 1): date(2023, 2, 9),
        (6, 2): date(2023, 4, 24),
        (6, 3): date(2023, 8, 31),
        (7, 0): date(2027, 8, 31),
        (7, 1): date(2024, 1, 23),
        (7, 2): date(2024, 3, 27),
        (7, 3): date(2024, 10, 2),
        (8, 0): date(2029, 10, 31),
        (8, 1): date(2025, 9, 30),
        (8, 2): date(2026, 7, 31),
    }
)
"""The last day on which MongoDB mends a release, where one is published
(https://www.mongodb.com/legal/support-policy/lifecycles). Of others nothing is said."""

FIXED_IN: Mapping[Release, int] = MappingProxyType(
    {(4, 4): 30, (5, 0): 32, (6, 0): 27, (7, 0): 28, (8, 0): 17, (8, 2): 3}
)
"""The first patch of each release with the fix of CVE-2025-14847
(https://jira.mongodb.org/browse/SERVER-115508). The others from 3.6 to 8.2 never got it."""

_OPEN_FROM: Release = (3, 6)
_OPEN_TO: Release = (8, 2)
_SOON = timedelta(days=180)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
# Services that speak MongoDB's protocol and number their versions after it. The driver tells them
# by these names, too.
_OTHER_MAKERS = MappingProxyType(
    {
        ".cosmos.azure.com": "Azure Cosmos DB",
        ".docdb.amazonaws.com": "Amazon DocumentDB",
        ".docdb-elastic.amazonaws.com": "Amazon DocumentDB",
    }
)


def judge_release(facts: AliasFacts) -> Iterator[Remark]:
    """What is to be said of the version that the server tells; nothing where all is well."""
    if not isinstance(facts.server, Session):
        return
    build = facts.server.build
    if isinstance(build, Unknown):
        yield skipped(f"the server's version: {build.why}")
        return
    maker = _other_maker(facts, build)
    if maker:
        yield note(
            f"this is {maker} and not MongoDB: what its version is open to, its maker knows",
            "see the page on servers in the documentation for what of datalayer works there",
        )
        return
    version = str(build.get("version", ""))
    parts = _VERSION.match(version)
    if parts is None:
        yield skipped(f"the server's version, {version!r}, is none of MongoDB's")
        return
    major, minor, patch = map(int, parts.groups())
    loopback = not facts.uri.leaves_this_machine
    yield from _age(version, (major, minor), facts.today, loopback=loopback)
    if is_open_to_zlib_leak((major, minor), patch):
        yield _leak(version, (major, minor), facts, loopback=loopback)


def is_open_to_zlib_leak(release: Release, patch: int) -> bool:
    """Whether a server of this version that takes zlib is open to CVE-2025-14847."""
    fixed = FIXED_IN.get(release)
    return _OPEN_FROM <= release <= _OPEN_TO and (fixed is None or patch < fixed)


def _other_maker(facts: AliasFacts, build: Document) -> str | None:
    if "ferretdb" in build:
        return "FerretDB"
    names = [host.partition(":")[0].lower() for host in facts.uri.hosts]
    found = (
        maker
        for suffix, maker in _OTHER_MAKERS.items()
        if any(name.endswith(suffix) for name in names)
    )
    return next(found, None)


def _age(version: str, release: Release, today: date, *, loopback: bool) -> Iterator[Remark]:
    end = END_OF_LIFE.get(release)
    if end is None or today <= end - _SOON:
        return
    if today <= end:
        yield note(
            f"MongoDB {version}: its release reaches its end of life on {end}",
            f"plan the upgrade{_to_what(today + _SOON)}",
        )
        return
    saw = f"MongoDB {version}: its release reached its end of life on {end}: no more fixes"
    if loopback:
        yield note(saw, f"good for development; where data matters, use another{_to_what(today)}")
    else:
        yield warning(saw, f"upgrade, one major release after the other{_to_what(today)}")


def _to_what(today: date) -> str:
    """The release that lives longest, where one is known to be alive."""
    end, (major, minor) = max((end, release) for release, end in END_OF_LIFE.items())
    return f" ({major}.{minor} is mended until {end})" if end > today else ""


def _hosts_with_zlib(facts: AliasFacts) -> list[str]:
    """Those that agreed to zlib when they were offered it."""
    if isinstance(facts.network, Unknown):
        return []
    return [
        host.name for host in facts.network.hosts() if "zlib" in host.hello.get("compression", ())
    ]


def _leak(version: str, release: Release, facts: AliasFacts, *, loopback: bool) -> Remark:
    fixed = FIXED_IN.get(release)
    upgrade = (
        "upgrade to a release with the fix"
        if fixed is None
        else f"upgrade to {release[0]}.{release[1]}.{fixed} or later"
    )
    takers = _hosts_with_zlib(facts)
    if not takers:
        return note(
            f"MongoDB {version} is open to CVE-2025-14847 where zlib is on, and it is off", upgrade
        )
    saw = (
        f"MongoDB {version} is open to CVE-2025-14847: who reaches {', '.join(takers)} reads "
        "parts of the server's memory without credentials, by messages compressed with zlib"
    )
    advice = (
        f"{upgrade}; until then, set net.compression.compressors to snappy,zstd and restart it"
    )
    return note(saw, advice) if loopback else warning(saw, advice)
