"""Links to pages in the templates of Flask applications, and 404 for what isn't there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, jsonify, render_template_string, request
from fresh_databases import connected, model_registry, settings_for
from jinja2 import DictLoader
from mongoengine.fields import IntField

from datalayer.contrib.flask import CursorPagination, DataLayer, ListFieldPagination, Pagination
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo

with model_registry():

    class Post(Document):
        number = IntField()

        meta = {"collection": "posts", "db_alias": "default"}


@pytest.fixture(autouse=True, scope="module")
def connection(mongod: EmbeddedMongo) -> Iterator[None]:
    with model_registry(Post), connected(settings_for(mongod)):
        Post.objects.insert([Post(number=number) for number in range(95)])
        yield


@pytest.fixture
def app() -> Flask:
    app = Flask("shop")
    app.testing = True
    DataLayer(app)

    @app.get("/posts")
    def posts() -> str:
        page = Post.objects.order_by("number").paginate(request.args.get("page", 1), 10)
        return render_template_string("{{ page_links(page) }}", page=page)

    @app.get("/<kind>/posts/<int:page>")
    def in_route(kind: str, page: int) -> str:
        found = Post.objects.order_by("number").paginate(page, 10)
        return render_template_string("{{ page_links(page) }}", page=found)

    @app.get("/by-key")
    def by_key() -> str:
        found = Post.objects.order_by("-number").paginate_after(request.args.get("cursor"), 40)
        return render_template_string("{{ page_links(page) }}", page=found)

    @app.get("/post/<number>")
    def post(number: str) -> Any:
        return jsonify(Post.objects.get_or_404(number=number))

    return app


def _links(app: Flask, path: str) -> dict[str, str]:
    """What the links on a page lead to, by their text."""
    text = app.test_client().get(path).text
    found = re.findall(r'<a[^>]* href="([^"]*)">([^<]*)</a>', text)
    return {text: href.replace("&amp;", "&") for href, text in found}


def test_links_lead_to_the_other_pages(app: Flask) -> None:
    links = _links(app, "/posts?page=2")
    assert list(links) == ["Previous", *map(str, range(1, 8)), "9", "10", "Next"]
    assert (links["Previous"], links["3"]) == ("/posts?page=1", "/posts?page=3")
    assert links["Next"] == links["3"]


def test_the_list_says_where_one_is(app: Flask) -> None:
    text = app.test_client().get("/posts?page=2").text
    assert text.startswith('<nav class="pagination" aria-label="Pages"><ul><li>')
    assert '<a aria-current="page" href="/posts?page=2">2</a>' in text
    assert '<a rel="prev" href="/posts?page=1">Previous</a>' in text
    assert '<a rel="next" href="/posts?page=3">Next</a>' in text
    assert "<li><span>…</span></li>" in text


def test_the_query_stays(app: Flask) -> None:
    links = _links(app, "/posts?tag=a%26b&page=1&tag=%22%3E%3Cscript%3E")
    assert links["2"] == "/posts?page=2&tag=a%26b&tag=%22%3E%3Cscript%3E"


def test_nothing_in_a_query_changes_where_links_lead(app: Flask) -> None:
    query = "_scheme=javascript&_external=1&_anchor=x&_method=POST&endpoint=y&parameter=z"
    link = _links(app, f"/posts?{query}")["2"]
    assert link == f"/posts?page=2&{query}"


def test_a_page_in_the_route_stays_there(app: Flask) -> None:
    links = _links(app, "/books/posts/2?sort=up")
    assert links["3"] == "/books/posts/3?sort=up"


def test_pages_by_key_are_linked_by_their_cursors(app: Flask) -> None:
    links = _links(app, "/by-key?tag=a")
    assert list(links) == ["Next"]
    following = _links(app, links["Next"])
    assert list(following) == ["Previous", "Next"]
    assert following["Previous"].startswith("/by-key?cursor=")
    assert following["Previous"].endswith("&tag=a")
    assert list(_links(app, following["Next"])) == ["Previous"]


def test_a_single_page_needs_no_links(app: Flask) -> None:
    with app.test_request_context("/posts"):
        assert render_template_string("{{ page_links(p) }}", p=Pagination([1], 1, 5)) == ""


def test_links_may_lead_elsewhere_and_speak_another_language(app: Flask) -> None:
    template = """{{ page_links(p, "in_route", kind="books", label="<Seiten>", next="Weiter") }}"""
    with app.test_request_context("/posts?tag=a"):
        text = render_template_string(template, p=Pagination(range(10), 1, 5))
    assert 'href="/books/posts/2"' in text
    assert ">Weiter<" in text
    assert 'aria-label="&lt;Seiten&gt;"' in text


def test_a_macro_that_is_imported_has_both(app: Flask) -> None:
    app.jinja_env.loader = DictLoader(
        {"macros.html": "{% macro links(p) %}{{ page_links(p) }}|{{ page_url(7) }}{% endmacro %}"}
    )
    template = '{% from "macros.html" import links %}{{ links(p) }}'
    with app.test_request_context("/posts?tag=a"):
        text = render_template_string(template, p=Pagination(range(10), 1, 5))
    assert text.endswith("|/posts?page=7&amp;tag=a")


def test_templates_may_be_set_up_before_and_configured_after() -> None:
    early, late = Flask("early"), Flask("late")
    early.jinja_env.globals["page_url"] = "own"
    for app in (early, late):
        DataLayer(app)
    assert "jinja_env" not in vars(late)
    late.jinja_options["trim_blocks"] = True
    assert late.jinja_env.trim_blocks
    assert "page_links" in late.jinja_env.globals
    assert "page_links" in early.jinja_env.globals
    assert early.jinja_env.globals["page_url"] == "own"
    assert "extensions" not in Flask.jinja_options


@pytest.mark.parametrize(
    "path", ["/posts?page=0", "/posts?page=11", "/posts?page=x", "/by-key?cursor=x", "/post/1000"]
)
def test_what_is_not_there_is_answered_with_404(app: Flask, path: str) -> None:
    assert app.test_client().get(path).status_code == 404


def test_a_document_that_is_there_is_answered(app: Flask) -> None:
    assert app.test_client().get("/post/7").json["number"] == 7


def test_what_users_import_is_at_hand() -> None:
    assert issubclass(ListFieldPagination, Pagination)
    assert not issubclass(CursorPagination, Pagination)
