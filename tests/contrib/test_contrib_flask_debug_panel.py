"""The panel of Flask-DebugToolbar in a real application on a real server: what it tells of a
request's commands, and what it does not."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from flask_applications import application, clean_environment
from flask_debugtoolbar import DebugToolbarExtension
from flask_wtf import CSRFProtect
from fresh_databases import model_registry
from mongoengine import IntField, ReferenceField, StringField
from pymongo.errors import OperationFailure

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer
from datalayer.contrib.flask.debug_panel import recording

__all__ = ["clean_environment"]

PANEL = "datalayer.contrib.flask.debug_panel.MongoDebugPanel"
SECRET = "not-for-the-page"
View = Callable[[], Any]


class Author(BusinessDocument):
    name = StringField()
    age = IntField()


class Book(BusinessDocument):
    title = StringField()
    author = ReferenceField(Author)


class Visit(AnalyticsDocument):
    page = StringField()


@pytest.fixture(autouse=True)
def models() -> Iterator[None]:
    with model_registry(Author, Book, Visit):
        yield


@pytest.fixture(autouse=True)
def unwatched() -> Iterator[None]:
    yield
    registry.on_open[:] = [each for each in registry.on_open if each is not recording._watch]


def shop(uri: str, **config: Any) -> Flask:
    app = application(uri, SECRET_KEY="a key", DEBUG_TB_ENABLED=True, DEBUG_TB_PANELS=[PANEL])
    app.config.update({"DATABASE1_URI": uri.replace("?", "_1?"), **config})
    DataLayer(app)
    DebugToolbarExtension(app)
    return app


def panel_of(app: Flask, view: View) -> str:
    """What the page that ``view`` makes has in the panel, as text that a person reads."""

    def page() -> str:
        view()
        return "<html><body>page</body></html>"

    app.add_url_rule("/page", "page", page)
    app.extensions["datalayer"].connect_now(app)
    return shown_by(app.test_client().get("/page").text)


def shown_by(page: str) -> str:
    found = page.partition('id="flDebugMongoDBPanel"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())


def line_of(view: View, wanted: str) -> str:
    """``file:line`` of the line of ``view``'s file that ends with ``# wanted``."""
    lines = Path(__file__).read_text().splitlines()
    (number,) = [at for at, line in enumerate(lines, 1) if line.endswith(f"# {wanted}")]
    return f"{__file__}:{number}"


def test_a_request_that_asked_nothing_says_so(uri: str) -> None:
    assert "no commands" in panel_of(shop(uri), lambda: None)


def test_the_first_requests_connecting_is_no_work_of_the_application(uri: str) -> None:
    app = shop(uri)
    app.add_url_rule("/page", "page", lambda: "<html><body></body></html>")
    shown = shown_by(app.test_client().get("/page").text)
    assert "create outside the application" in shown
    assert "N+1" not in shown


def test_a_command_is_told_with_its_collection_alias_documents_and_line(uri: str) -> None:
    def view() -> None:
        list(Author.objects(name=SECRET))  # the query

    app = shop(uri)
    with db_of(app):
        Author(name=SECRET).save()
        Author(name=SECRET).save()
    shown = panel_of(app, view)
    row = f"default author find 2 {{name: ?}} {line_of(view, 'the query')} explain"
    assert row in shown
    assert "1 command in " in shown


def test_no_value_of_a_filter_a_change_or_a_document_is_on_the_page(uri: str) -> None:
    def view() -> None:
        Author(name=SECRET).save()
        Author.objects(name=SECRET).update(set__name=SECRET + "2")
        Author.objects(name__in=[SECRET]).modify(set__name=SECRET)
        list(Author.objects.aggregate([{"$match": {"name": {"$regex": SECRET}}}]))
        Author.objects(name=SECRET).delete()

    shown = panel_of(shop(uri), view)
    assert "{name: ?} to {$set: {updated_at: ?, name: ?}}" in shown
    assert "pipeline [{$match: {name: {$regex: ?}}}]" in shown
    assert SECRET not in shown


def test_the_same_query_for_each_of_a_list_is_told_as_n_plus_one(uri: str) -> None:
    def view() -> None:
        for author in Author.objects.order_by("name"):
            Book.objects(author=author).count()  # one for each

    app = shop(uri)
    with db_of(app):
        for number in range(4):
            Author(name=f"author {number}").save()
    shown = panel_of(app, view)
    assert "ms, N+1" in shown
    assert re.search(
        r"N\+1: 4 times aggregate book .* from " + line_of(view, "one for each"), shown
    )


def test_queries_of_one_shape_from_different_lines_are_no_n_plus_one(uri: str) -> None:
    def view() -> None:
        Author.objects(name="a").first()
        Author.objects(name="b").first()
        Author.objects(name="c").first()

    assert "N+1" not in panel_of(shop(uri), view)


def test_an_n_plus_one_of_a_template_is_told_with_the_templates_line(uri: str) -> None:
    source = "{% for book in books %}\n{{ book.title }}\n{{ book.author.name }}\n{% endfor %}"

    app = shop(uri)
    with db_of(app):
        for number in range(3):
            Book(title="t", author=Author(name=f"author {number}").save()).save()
    shown = panel_of(app, lambda: render_template_string(source, books=Book.objects))
    assert "N+1: 3 times find author {_id: ?} limit 1 from <template>:3" in shown


def test_an_application_below_a_folder_called_datalayer_is_found(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "datalayer" / "views.py"
    code = compile("def view(authors):\n    authors.first()\n", str(file), "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    # The working directory is the folder.
    assert "datalayer/views.py:2 explain" in panel_of(
        shop(uri), lambda: names["view"](Author.objects)
    )


def test_where_messages_are_compressed_the_same_is_told(uri: str) -> None:
    def view() -> None:
        Author(name=SECRET).save()
        for _ in range(3):
            Author.objects(name=SECRET).update(set__age=5)  # each of them

    shown = panel_of(shop(f"{uri}&compressors=zlib"), view)
    assert "N+1: 3 times update author {name: ?} to {$set: " in shown
    assert line_of(view, "each of them") in shown
    assert SECRET not in shown


def test_what_was_asked_twice_with_the_same_values_is_told(uri: str) -> None:
    def view() -> None:
        Author.objects(name=SECRET).first()
        Author.objects(name=SECRET).first()
        Author.objects(name="somebody else").first()

    shown = panel_of(shop(uri), view)
    assert "Asked 2 times for the same: find author {name: ?}" in shown


def test_commands_and_times_are_added_up_for_each_database(uri: str) -> None:
    def view() -> None:
        Author.objects(name="a").first()
        Author.objects(name="b").first()
        Visit.objects(page="/").first()

    assert re.search(
        r"Commands ms default 2 [\d.]+ database1 1 [\d.]+ all 3 [\d.]+", panel_of(shop(uri), view)
    )


def test_a_command_that_failed_is_told_with_its_code(uri: str) -> None:
    def view() -> None:
        with pytest.raises(OperationFailure):
            list(Author.objects(__raw__={"$nosuch": 1}))

    assert "find failed: 2" in panel_of(shop(uri), view)


def test_slow_commands_are_marked_by_flask_mongoengines_setting(uri: str) -> None:
    def view() -> None:
        Author.objects(name="a").first()

    assert " slow " in panel_of(shop(uri, MONGO_DEBUG_PANEL_SLOW_QUERY_LIMIT=0), view)
    assert " slow " not in panel_of(shop(uri, MONGO_DEBUG_PANEL_SLOW_QUERY_LIMIT=60_000), view)


def explained(app: Flask, view: View, **headers: Any) -> Any:
    panel_of(app, view)
    page = app.test_client().get("/page").text
    links = re.findall(r'href="(/_debug_toolbar/views/datalayer/explain/[^"]+)"', page)
    return app.test_client().post(links[-1], **headers)


def test_explain_tells_of_a_query_without_an_index_and_shows_no_value(uri: str) -> None:
    app = shop(uri)
    with db_of(app):
        Author(name=SECRET).save()
        Author(name="other").save()
    answer = explained(app, lambda: Author.objects(name=SECRET).first())
    shown = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    assert "the server reads the whole collection" in shown
    assert "Documents examined 1" in shown
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "read",
    [
        lambda: Author.objects(age=5).first(),
        lambda: Author.objects(age=5).count(),
        lambda: Author.objects(age=5).distinct("age"),
        lambda: list(Author.objects.aggregate([{"$match": {"age": 5}}, {"$sort": {"name": 1}}])),
    ],
    ids=["find", "count", "distinct", "aggregate"],
)
def test_explain_names_the_index(read: View, uri: str) -> None:
    app = shop(uri)
    with db_of(app):
        Author(name="a", age=5).save()
        Author._get_collection().create_index("age")
    assert "SCAN age_1" in explained(app, read).text


@pytest.mark.parametrize(
    "write",
    [
        lambda: Author.objects(name="a").update(inc__age=1),
        lambda: Author.objects(name="a").modify(inc__age=1),
        lambda: Author.objects(name="b").delete(),
    ],
)
def test_explaining_a_write_writes_nothing(write: View, uri: str) -> None:
    app = shop(uri)
    with db_of(app):
        Author(name="a", age=0).save()
        Author(name="b", age=0).save()
    panel_of(app, write)
    with db_of(app):
        Author(name="b", age=0).save()
    page = app.test_client().get("/page").text
    with db_of(app):
        Author(name="b", age=0).save()
        before = sorted(Author.objects.scalar("name", "age"))
    links = re.findall(r'href="(/_debug_toolbar/views/datalayer/explain/[^"]+)"', page)
    answers = [app.test_client().get(link).text for link in links]
    assert answers
    assert all("Stages" in answer for answer in answers)
    with db_of(app):
        assert sorted(Author.objects.scalar("name", "age")) == before


def test_a_pipeline_that_writes_is_not_explained(uri: str) -> None:
    def view() -> None:
        list(Author.objects.aggregate([{"$out": "copies"}]))

    shown = panel_of(shop(uri), view)
    assert "pipeline [{$out: ?}]" in shown
    assert not shown.endswith("explain")


def test_explain_is_for_those_alone_to_whom_the_toolbar_is_shown(uri: str) -> None:
    app = shop(uri, DEBUG_TB_HOSTS=("127.0.0.1",))
    read = lambda: Author.objects(name="a").first()  # noqa: E731
    assert explained(app, read, environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 404


def test_explain_of_a_page_that_is_long_gone_says_so(uri: str) -> None:
    app = shop(uri)
    answer = app.test_client().get("/_debug_toolbar/views/datalayer/explain/nothing")
    assert "load the page anew" in answer.text


def test_explain_is_answered_beside_flask_wtfs_protection(uri: str) -> None:
    app = shop(uri)
    CSRFProtect(app)
    assert "Stages" in explained(app, lambda: Author.objects(name="a").first()).text


def test_requests_at_the_same_time_do_not_see_each_others_commands(uri: str) -> None:
    app = shop(uri)

    @app.get("/<name>/<int:times>")
    def page(name: str, times: int) -> str:
        for _ in range(times):
            Author.objects(name=name).first()
        return "<html><body></body></html>"

    def ask(times: int) -> str:
        return shown_by(app.test_client().get(f"/x/{times}").text)

    app.test_client().get("/x/1")
    with ThreadPoolExecutor(4) as pool:
        for times, shown in zip([2, 3, 4, 5], pool.map(ask, [2, 3, 4, 5]), strict=True):
            assert f"MongoDB {times} commands in" in shown


def test_a_thread_that_carries_the_requests_context_is_part_of_it(uri: str) -> None:
    def view() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, Author.objects(name="a").first).result(60)
            pool.submit(Author.objects(name="b").first).result(60)

    assert "1 command in" in panel_of(shop(uri), view)


def test_more_commands_than_are_listed_are_counted(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def view() -> None:
        for _ in range(5):
            Author.objects(name="a").first()

    monkeypatch.setattr(recording, "MOST", 3)
    shown = panel_of(shop(uri), view)
    assert "5 commands in" in shown
    assert "And 2 more" in shown


def test_nothing_is_watched_where_the_toolbar_is_off(uri: str) -> None:
    app = shop(uri, DEBUG_TB_ENABLED=False)
    assert app.test_client().get("/count").status_code == 200
    assert not any(each.monitors.commands._is_heard for each in registry.connections())


def db_of(app: Flask) -> Any:
    """The databases of ``app``, connected, outside of any request."""
    app.extensions["datalayer"].connect_now(app)
    return db.session()
