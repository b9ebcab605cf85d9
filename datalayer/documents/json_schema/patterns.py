"""Python's regular expressions as those of MongoDB's server, where one means exactly the other.

The server's (PCRE, over Unicode) have the same words with other meanings: ``\\d``, ``\\w`` and
``\\s`` are ASCII there, and letters have other cases. So a pattern is taken apart and written
anew, with sets of characters; for what has no equal, there is no pattern.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache

# Python's own tree of a pattern: it knows each detail of the syntax.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_SPACES = (
    r"\x{9}-\x{d}\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}"
    r"\x{3000}"
)
_WORD = r"\p{L}\p{N}_"
# For a category of Python's: what stands for it in a set, what is written for it alone.
_CATEGORIES: Mapping[Any, tuple[str | None, str, str]] = {
    sre.CATEGORY_DIGIT: (r"\p{Nd}", r"\p{Nd}", r"\d"),
    sre.CATEGORY_NOT_DIGIT: (r"\P{Nd}", r"\P{Nd}", r"\D"),
    sre.CATEGORY_SPACE: (_SPACES, f"[{_SPACES}]", r"\s"),
    sre.CATEGORY_NOT_SPACE: (None, f"[^{_SPACES}]", r"\S"),
    sre.CATEGORY_WORD: (_WORD, f"[{_WORD}]", r"\w"),
    sre.CATEGORY_NOT_WORD: (None, f"[^{_WORD}]", r"\W"),
}
# Not \\B, of which Python's versions differ: whether an empty text has one.
_AT: Mapping[Any, str] = {
    sre.AT_BEGINNING: "^",
    sre.AT_BEGINNING_STRING: "^",
    sre.AT_BOUNDARY: f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
}
_AT_LINES: Mapping[Any, str] = {sre.AT_BEGINNING: r"(?:^|(?<=\n))", sre.AT_END: r"(?=\n|\z)"}
_REPEATS = {sre.MAX_REPEAT: "", sre.MIN_REPEAT: "?", sre.POSSESSIVE_REPEAT: "+"}
_REPEATED_ALONE = (sre.LITERAL, sre.IN, sre.NOT_LITERAL, sre.ANY, sre.SUBPATTERN)
_MOST_REPEATS = 65_535
_CASED_BELOW = 0x1E944  # no letter from here on has another case
_END = r"\z"
_Item = tuple[Any, Any]


class _NoEqualError(Exception):
    """A part of a pattern that the server can't be told."""


def translated(pattern: re.Pattern[str]) -> str | None:
    """A pattern that the server finds in just those texts that ``pattern.match`` takes.

    ``None`` where there is none.
    """
    written = _written(pattern)
    if written is None:
        return None
    # ``match`` looks at the beginning alone, whatever the pattern says.
    return written if written.startswith("^") and "|" not in written else f"^(?:{written})"


def url_pattern(field: Any) -> str | None:
    """What ``URLField`` takes: one of its schemes, and its expression."""
    written = _written(field.url_regex)
    if written is None:
        return None
    schemes = "|".join("".join(map(_either_case, each)) for each in field.schemes)
    return rf"^(?=(?:{schemes})(?:://|\z))(?:{written})"


def _either_case(letter: str) -> str:
    both = sorted({letter.lower(), letter.upper()})
    return _char(ord(letter)) if len(both) == 1 else f"[{''.join(both)}]"


def email_pattern(field: Any) -> str | None:
    """What ``EmailField`` takes, with any domain that has letters beyond ASCII, and any address in
    brackets, where it takes such."""
    users = field.UTF8_USER_REGEX if field.allow_utf8_user else field.USER_REGEX
    user = _written(users, end=r"(?=@[^@]*\z)")
    domain = _written(field.DOMAIN_REGEX)
    if user is None or domain is None:
        return None
    domains = [domain, r"[^@]*[^\x{0}-\x{7f}@][^@]*\z"]
    domains += ["".join(map(_char, map(ord, each))) + _END for each in field.domain_whitelist]
    if field.allow_ip_domain:
        domains.append(r"\[[^@]*\]\z")
    return f"^(?:{user})@(?:{'|'.join(domains)})"


def _written(pattern: re.Pattern[str], end: str = _END) -> str | None:
    """``pattern`` in the server's words; ``end`` is what the end of the text is for it."""
    try:
        with warnings.catch_warnings():  # whoever compiled it has been warned
            warnings.simplefilter("ignore")
            tree = _parser.parse(pattern.pattern, pattern.flags)
        return _sequence(tree, pattern.flags, end)
    except (_NoEqualError, RecursionError):
        return None


def _sequence(tree: Iterable[_Item], flags: int, end: str) -> str:
    return "".join(_one(item, flags, end) for item in tree)


def _one(item: _Item, flags: int, end: str) -> str:
    kind, value = item
    if kind in (sre.LITERAL, sre.IN, sre.NOT_LITERAL):
        return _set(item, flags)
    if kind is sre.ANY:
        return "(?s:.)" if flags & re.DOTALL else "."
    if kind is sre.AT:
        return _at(value, flags, end)
    if kind in _REPEATS:
        return _repeat(kind, value, flags, end)
    if kind not in _GROUPS:
        raise _NoEqualError
    return _GROUPS[kind](value, flags, end)


def _at(where: Any, flags: int, end: str) -> str:
    if flags & re.MULTILINE and where in _AT_LINES:
        return _AT_LINES[where]
    if where is sre.AT_END_STRING:
        return end
    if where is sre.AT_END and end == _END:
        return "$"  # which is also before a last \n, for both
    if where not in _AT or (where is sre.AT_BOUNDARY and flags & re.ASCII):
        raise _NoEqualError
    return _AT[where]


def _repeat(kind: Any, value: Any, flags: int, end: str) -> str:
    least, most, tree = value
    if least > _MOST_REPEATS or (most is not sre.MAXREPEAT and most > _MOST_REPEATS):
        raise _NoEqualError
    inner = _sequence(tree, flags, end)
    if len(tree) != 1 or tree[0][0] not in _REPEATED_ALONE or inner.startswith("(?!"):
        inner = f"(?:{inner})"
    if most is sre.MAXREPEAT:
        times = {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    elif least == most:
        times = f"{{{least}}}"
    else:
        times = "?" if (least, most) == (0, 1) else f"{{{least},{most}}}"
    return inner + times + _REPEATS[kind]


def _branch(value: Any, flags: int, end: str) -> str:
    return f"(?:{'|'.join(_sequence(each, flags, end) for each in value[1])})"


def _group(value: Any, flags: int, end: str) -> str:
    number, added, removed, tree = value
    opening = "(?:" if number is None else "("
    return f"{opening}{_sequence(tree, (flags | added) & ~removed, end)})"


def _looking(ahead: str, behind: str) -> Callable[[Any, int, str], str]:
    def written(value: Any, flags: int, end: str) -> str:
        direction, tree = value
        return f"({ahead if direction > 0 else behind}{_sequence(tree, flags, end)})"

    return written


def _same_again(number: int, flags: int, end: str) -> str:  # as its neighbours
    if flags & re.IGNORECASE:
        raise _NoEqualError
    return rf"\g{{{number}}}"


_GROUPS: Mapping[Any, Callable[[Any, int, str], str]] = {
    sre.ASSERT: _looking("?=", "?<="),
    sre.ASSERT_NOT: _looking("?!", "?<!"),
    sre.ATOMIC_GROUP: lambda tree, flags, end: f"(?>{_sequence(tree, flags, end)})",
    sre.BRANCH: _branch,
    sre.GROUPREF: _same_again,
    sre.SUBPATTERN: _group,
}


# Sets of characters


def _set(item: _Item, flags: int) -> str:
    """One character of those that ``item`` names."""
    kind, value = item
    is_negated = kind is sre.NOT_LITERAL
    items: list[_Item] = list(value) if kind is sre.IN else [(sre.LITERAL, value)]
    if items[0][0] is sre.NEGATE:
        is_negated, items = True, items[1:]
    if flags & re.ASCII and any(each is sre.CATEGORY for each, _ in items):
        raise _NoEqualError
    if flags & re.IGNORECASE:
        items += [(sre.RANGE, run) for run in _other_cases(tuple(items), flags & re.ASCII)]
    if len(items) == 1 and not is_negated:
        only, held = items[0]
        if only is sre.LITERAL:
            return _char(held)
        if only is sre.CATEGORY:
            return _CATEGORIES[held][1]
    alone = [_CATEGORIES[held][1] for each, held in items if _has_no_place_in_a_set(each, held)]
    inside = "".join(_in_a_set(*each) for each in items if not _has_no_place_in_a_set(*each))
    if not alone:
        return f"[^{inside}]" if is_negated else f"[{inside}]"
    either = "|".join([f"[{inside}]", *alone] if inside else alone)
    return f"(?!{either})(?s:.)" if is_negated else f"(?:{either})"


def _has_no_place_in_a_set(kind: Any, value: Any) -> bool:
    return kind is sre.CATEGORY and _CATEGORIES[value][0] is None


def _in_a_set(kind: Any, value: Any) -> str:
    if kind is sre.LITERAL:
        return _char(value)
    if kind is sre.RANGE:
        first, last = value
        return _char(first) if first == last else f"{_char(first)}-{_char(last)}"
    return _CATEGORIES[value][0] or ""


def _char(code: int) -> str:
    """The character, in a set and outside of one."""
    if 0xD800 <= code <= 0xDFFF:
        raise _NoEqualError
    text = chr(code)
    if text.isascii() and (text.isalnum() or text in "_@/,:;=<>%&'\"~! "):
        return text
    return f"\\{text}" if text.isascii() and text.isprintable() else f"\\x{{{code:x}}}"


@cache
def _cased() -> tuple[str, ...]:
    every = map(chr, range(_CASED_BELOW))
    return tuple(each for each in every if each.lower() != each or each.upper() != each)


@cache
def _other_cases(items: tuple[_Item, ...], ascii_flag: int) -> tuple[tuple[int, int], ...]:
    """The characters that ``items`` name only in another case, in Python's eyes, as ranges."""
    text = "".join(map(_as_python, items))
    ignoring = re.compile(f"[{text}]", re.IGNORECASE | ascii_flag)
    exactly = re.compile(f"[{text}]", ascii_flag)
    runs: list[tuple[int, int]] = []
    for each in _cased():
        if ignoring.match(each) and not exactly.match(each):
            code = ord(each)
            if runs and runs[-1][1] == code - 1:
                runs[-1] = (runs[-1][0], code)
            else:
                runs.append((code, code))
    return tuple(runs)


def _as_python(item: _Item) -> str:
    kind, value = item
    if kind is sre.CATEGORY:
        return _CATEGORIES[value][2]
    if kind is sre.RANGE:
        return f"\\U{value[0]:08x}-\\U{value[1]:08x}"
    return f"\\U{value:08x}"
