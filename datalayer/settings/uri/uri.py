"""Reading a URI without any I/O, and taking secrets out of texts.

What is wrong with a URI is told without repeating any of it: in a malformed one every part,
the host too, may hold a piece of the password.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote, unquote_plus, unquote_to_bytes

from datalayer.settings.uri.hosts import is_loopback, read_hosts
from datalayer.settings.uri.options import SECRET_OPTIONS, read_options
from datalayer.settings.uri.rules import PASSWORD_MECHANISMS, check_together
from datalayer.settings.variables import DATABASE_VARIABLES

Kind = Literal["mongodb", "embedded", "mongomock"]

HIDDEN = "***"
"""What stands in the place of credentials."""

_KINDS: dict[str, Kind] = {
    "mongodb": "mongodb",
    "mongodb+srv": "mongodb",
    "embedded": "embedded",
    "mongomock": "mongomock",
}
_RESERVED = frozenset("@:/?#[]%")
_UNSAFE = frozenset("\"'`<>\\")
_USER_INFO = re.compile(r"""://[^\s"'`<>\\]*@""")
_UNFINISHED = re.compile(
    r"""(mongodb|\+srv)://(?!\[)[^\s"'`<>\\/?,@:]+:(?!\d+(?:[/?,\s"'`<>\\]|$))[^\s"'`<>\\]*"""
)
_SECRET_OPTION = re.compile(
    rf"""\b({"|".join(SECRET_OPTIONS)})=[^&;\s"'`<>\\]*""", flags=re.IGNORECASE
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_DATABASE_NAMES = frozenset('/\\. "$*<>:|?')


@dataclass(frozen=True)
class ParsedUri:
    """A URI that was found correct, in its parts."""

    scheme: str
    hosts: tuple[str, ...]
    """``host:port``, the path of a socket, or the one name of ``mongodb+srv``; empty for
    ``embedded`` and ``mongomock``."""
    database: str
    options: tuple[tuple[str, str], ...] = field(repr=False)
    """Proper names and decoded values."""
    user_info: str = field(repr=False)
    host_text: str = field(repr=False)
    query: str = field(repr=False)

    @property
    def kind(self) -> Kind:
        """What runs behind the URI."""
        return _KINDS[self.scheme]

    @property
    def srv(self) -> bool:
        """Whether the hosts are found through DNS."""
        return self.scheme == "mongodb+srv"

    @property
    def text(self) -> str:
        """The URI again."""
        name = quote(self.database, safe="")
        place = f"{self.host_text}/{name}" if self.kind == "mongodb" else name
        at = f"{self.user_info}@" if self.user_info else ""
        return f"{self.scheme}://{at}{place}" + (f"?{self.query}" if self.query else "")

    @property
    def is_redacted(self) -> bool:
        """Whether something else stands in the place of its secrets."""
        return self.user_info == HIDDEN or any(value == HIDDEN for _, value in self.options)

    def without_secrets(self) -> ParsedUri:
        """The URI with ``***`` in the place of credentials and secret options."""
        return replace(
            self,
            user_info=HIDDEN if self.user_info else "",
            options=tuple(
                (name, HIDDEN if name in SECRET_OPTIONS else value) for name, value in self.options
            ),
            query=redact(self.query),
        )

    @property
    def leaves_this_machine(self) -> bool:
        """Whether any host is something else than loopback or a socket."""
        return not all(is_loopback(host) for host in self.hosts)


def redact(text: str) -> str:
    """``text`` without the user names, passwords and secret options of the URIs in it.

    Works on malformed URIs too: everything between ``://`` and the last ``@`` before white
    space or a quotation mark goes.
    """
    if "://" in text:
        text = _USER_INFO.sub(f"://{HIDDEN}@", text)
        text = _UNFINISHED.sub(rf"\1://{HIDDEN}", text)
    return _SECRET_OPTION.sub(rf"\1={HIDDEN}", text) if "=" in text else text


def with_database(uri: ParsedUri, name: str) -> ParsedUri:
    """A URI of another database on the server of ``uri``, with its credentials.

    Users are looked up in ``authSource``, which is the URI's database unless it says otherwise,
    so that is written out. Not for ``mongodb+srv``: there the DNS record may hold it. Options
    that are a database's own business stay behind: those with a variable, appname and w=0.
    """
    kept = [
        (option, text)
        for option, text in zip(uri.options, uri.query.split(_separator(uri)), strict=False)
        if not _is_own(option)
    ]
    options = tuple(option for option, _ in kept)
    query = _separator(uri).join(text for _, text in kept)
    named = dict(options)
    looked_up = named.get("authMechanism", "DEFAULT") in PASSWORD_MECHANISMS
    if uri.user_info and looked_up and "authSource" not in named and not uri.srv:
        source = f"authSource={quote(uri.database, safe='')}"
        query = f"{query}{_separator(uri)}{source}" if query else source
        options = (*options, ("authSource", uri.database))
    return replace(uri, database=name, options=options, query=query)


def _separator(uri: ParsedUri) -> str:
    return ";" if ";" in uri.query else "&"


def _is_own(option: tuple[str, str]) -> bool:
    name, value = option
    own = any(name == variable.option for variable in DATABASE_VARIABLES)
    return own or name == "appname" or (name == "w" and not value.strip("0"))


def parse(text: str) -> tuple[ParsedUri | None, tuple[str, ...]]:
    """The parts of a URI, or what is wrong with it.

    The problems are phrases that follow the name of the variable. They never hold any of the
    URI's text.
    """
    problems: list[str] = []
    uri = _parse(text.strip(), problems)
    return (None, tuple(problems)) if problems else (uri, ())


def _parse(text: str, problems: list[str]) -> ParsedUri | None:
    scheme, found, rest = text.partition("://")
    if not found or scheme not in _KINDS:
        problems.append(
            "must begin with mongodb://, mongodb+srv://, embedded:// or mongomock://, "
            "in small letters and without quotation marks"
        )
        return None
    if _KINDS[scheme] != "mongodb":
        return _parse_serverless(scheme, rest, problems)
    user_info, at, tail = rest.rpartition("@")
    if at:
        problems.extend(_user_info_problems(user_info))
    problems.extend(_character_problems(tail))
    if problems:
        return None  # what follows may hold a piece of the password
    address, _, query = tail.partition("?")
    host_text, _, name = address.partition("/")
    hosts = read_hosts(host_text, srv=scheme == "mongodb+srv", problems=problems)
    if problems:
        return None
    user, _, password = user_info.partition(":")
    options = _read_options(query, problems)
    database = _read_database(name, "after the host: mongodb://host:27017/NAME", problems)
    if not problems:
        problems.extend(
            check_together(
                options,
                srv=scheme == "mongodb+srv",
                hosts=len(hosts),
                user=bool(user),
                password=bool(password) or user_info == HIDDEN,
            )
        )
    return ParsedUri(scheme, hosts, database, options, user_info, host_text, query)


def _parse_serverless(scheme: str, rest: str, problems: list[str]) -> ParsedUri:
    name, _, query = rest.partition("?")
    if _RESERVED & set(name) - {"%"} or "," in name or "@" in query:
        problems.append(f"must be {scheme}://NAME: there is no host, user or password")
    problems.extend(_character_problems(rest))
    options = _read_options(query, problems) if not problems else ()
    database = _read_database(name, f": {scheme}://NAME", problems) if not problems else ""
    if not problems:
        problems.extend(check_together(options, srv=False, hosts=1, user=False, password=False))
    return ParsedUri(scheme, (), database, options, "", "", query)


def _user_info_problems(user_info: str) -> Iterator[str]:
    user, _, password = user_info.partition(":")
    if not user:
        yield "has an '@' without a user name before it; remove it or write user:password@host"
    for part, content in (("user name", user), ("password", password)):
        wrong = _wrong_characters(content)
        if wrong:
            yield (
                f"has {wrong} in the {part}; escape the {part} with "
                f"urllib.parse.quote_plus({part.replace(' ', '_')})" + _at_in_option(user_info)
            )


def _wrong_characters(content: str) -> str:
    if _RESERVED & set(content) - {"%"} or _BAD_ESCAPE.search(content):
        return "a reserved character (one of @ : / ? # [ ] %)"
    if any(character in _UNSAFE for character in content):
        return "a quotation mark, a backslash or an angle bracket"
    if _is_unprintable(content):
        return "white space, a control character or a broken letter"
    if not _is_utf8(content):
        return "a percent escape that is not UTF-8"
    return ""


def _at_in_option(user_info: str) -> str:
    if "/" in user_info or "?" in user_info:
        return " (or, if it is an option that holds an '@', write %40 there)"
    return ""


def _is_unprintable(text: str) -> bool:
    # isprintable() is false for control characters, lone surrogates and white space but ' '.
    return not text.isprintable() or any(character.isspace() for character in text)


def _is_utf8(escaped: str) -> bool:
    try:
        unquote_to_bytes(escaped).decode("utf-8")
    except UnicodeError:
        return False
    return True


def _character_problems(tail: str) -> Iterator[str]:
    if _is_unprintable(tail) or any(character in _UNSAFE for character in tail):
        yield (
            "holds white space, a control character, a quotation mark, a backslash or an angle "
            "bracket; remove it, or escape it with urllib.parse.quote_plus where it belongs there"
        )
    elif "#" in tail or _BAD_ESCAPE.search(tail) or not _is_utf8(tail):
        yield (
            "holds a '#', or a '%' that does not begin an escape of UTF-8; "
            "write %23 for '#' and %25 for '%'"
        )


def _read_options(query: str, problems: list[str]) -> tuple[tuple[str, str], ...]:
    options = read_options(query, problems)
    if any(not value.isprintable() for _, value in options):
        problems.append("has an option whose value holds a control character; remove it")
    return options


def _read_database(name: str, where: str, problems: list[str]) -> str:
    database = unquote_plus(name)
    if not database:
        problems.append(f"names no database; write its name {where}".replace(" :", ":"))
    elif _NOT_IN_DATABASE_NAMES & set(database) or not database.isprintable():
        problems.append(
            'has a database name with a character that MongoDB does not allow there (/ \\ . " $ '
            "* < > : | ? or white space)"
        )
    elif len(database.encode("utf-8")) > 63:
        problems.append("has a database name of more than 63 bytes")
    return database
