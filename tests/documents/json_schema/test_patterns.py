"""Python's regular expressions and what the server is told of them: both take the same texts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.documents.json_schema.patterns import translated
from datalayer.embedded import EmbeddedMongo

LETTERS = "abkSß_1٣ \n\r\t\x1c\xa0-.@$^]\\K\u0130\u0131\u017fé²ǅΣ😀"
TEXTS = [
    *map("".join, itertools.product(LETTERS, repeat=2)),
    *("", *LETTERS, "abc", "aab", "aaab", "aa\n", "a\nb", "abab", "abba", "A-1", "a\0b", "\0"),
    *("2026-01-31", "20260131", "x@y.org", "x@y.org\n", "[a]", "a{2}", "foo bar", "FOO", "straße"),
    *(chr(code) for code in range(0x80, 0x520)),  # then come letters newer than some servers
]
PATTERNS = r"""
a ^a a$ a\Z \Aa ^a$ ^$ a|b ^a|b$ ab|ac (a|b)k (?:a|b)+$
a* a+b a?b a{2} a{2,}b a{,2}b a{1,2}$ a+?b a*?$ a++b (?>a+)b
(?:ab)+$ (a)(b)?  (a+)+$ ((a)|b)*$ . .$ .. (?s).$ (?s).+$ a.b
[ab] [^ab] [a-k]$ [^a-k]$ []a] [^]a] [\]a] [a^] [-a] [a-] [\\]
[\w.-]+$ [^\w.-] [\W_] [^\W_] [^\S\n] [\s\d] [^\s\d] [\S\D]
\w \w+$ \W \d \D \s \S \w\s \S+@\S+\.org$ \. \$ \^
\bab a\b \b (?=a) (?!a). a(?=b) a(?!b)
.(?<=a)b .(?<!a)b (a)\1 (?P<x>a|b)(?P=x) (.)\1$ (a)?b\1 \x61 \n
(?i)ab (?i)k (?i)S (?i)[a-z] (?i)[^a-z] (?i)ß (?i)i (?i)[h-j] (?i)\u03c3
(?i)ǆ (?i)\w (?i)straße (?i:a)b (?i)a(?-i:b) (?i)[k\d] (?i)[à-ž]
(?m)^b (?m)a$ (?m)^a$ (?m)a\Z (?m)a$\n^b
\d{4}-\d{2}-\d{2}$ [^@\s]+@[^@\s]+$ 😀 [😀é] [\u0370-\u03ff] \0 a\0b
"""
WITH_SPACES = ("", "(?x) a # letter\n b", r"(?x)a\ b")
WITHOUT_EQUAL = [r"(a)?(?(1)b|k)", r"\B", r"a\Bb", r"(?a)\w", r"(?a)\b", r"(?i)(a)\1", r"a{70000}"]


@pytest.fixture(scope="module")
def texts(mongod: EmbeddedMongo) -> Iterator[Collection[Any]]:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        collection = client["test_patterns"]["texts"]
        collection.insert_many(
            [{"_id": number, "text": text} for number, text in enumerate(TEXTS)]
        )
        yield collection
        client.drop_database("test_patterns")


@pytest.mark.parametrize("pattern", [*WITH_SPACES, *PATTERNS.split()])
def test_the_server_takes_the_texts_that_python_takes(
    texts: Collection[Any], pattern: str
) -> None:
    compiled = re.compile(pattern)
    schema = {"properties": {"text": {"pattern": translated(compiled)}}}
    found = {each["_id"] for each in texts.find({"$jsonSchema": schema}, {"_id": 1})}
    expected = {number for number, text in enumerate(TEXTS) if compiled.match(text)}
    assert {TEXTS[number] for number in found ^ expected} == set()


@pytest.mark.parametrize("pattern", ["\ud800", *WITHOUT_EQUAL])
def test_what_the_server_lacks_is_not_told(pattern: str) -> None:
    assert translated(re.compile(pattern)) is None


def test_a_pattern_of_plain_words_stays_as_it_is() -> None:
    assert translated(re.compile("^[A-Z]{2}[0-9]+(x?)?$")) == "^[A-Z]{2}[0-9]+(x?)?$"
