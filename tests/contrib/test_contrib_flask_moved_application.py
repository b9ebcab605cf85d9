"""An application as one writes it with flask-mongoengine, whose imports alone were changed: models
on ``db``, forms, pages, sessions, JSON and the debug toolbar. It answers the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, redirect, render_template_string, request, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_applications import application, clean_environment
from fresh_databases import model_registry
from mongoengine.context_managers import switch_db

from datalayer.contrib.flask import DataLayer as MongoEngine
from datalayer.contrib.flask import ServerSessionInterface as MongoEngineSessionInterface
from datalayer.contrib.flask import model_form
from datalayer.documents import QuerySet as BaseQuerySet

toolbar: Any = pytest.importorskip("flask_debugtoolbar")
pytest.importorskip("flask_wtf")

__all__ = ["clean_environment"]

db: Any = MongoEngine()


class TaskQuerySet(BaseQuerySet):
    def open(self) -> Any:
        return self.filter(done=False)


class Step(db.EmbeddedDocument):  # type: ignore[misc]
    text = db.StringField(required=True, max_length=40)


class Task(db.Document):  # type: ignore[misc]
    title = db.StringField(required=True, max_length=60, verbose_name="What to do")
    notes = db.StringField()
    done = db.BooleanField(default=False, wtf_options={"choices": [("no", "no"), ("yes", "yes")]})
    hours = db.IntField(min_value=1, max_value=40)
    tags = db.ListField(db.StringField(max_length=20))
    steps = db.EmbeddedDocumentListField(Step)

    meta = {"queryset_class": TaskQuerySet, "ordering": ["title"]}


PAGE = """<html><body><p>{{ session.get("user", "nobody") }}</p>
<ul>{% for task in page.items %}<li>{{ task.title }}</li>{% endfor %}</ul>
<nav>{% for number in page.iter_pages() %}{{ number or "…" }} {% endfor %}</nav>
<form method="post">{% for field in form %}{{ field.label }} {{ field() }}
{% for error in field.errors %}<b>{{ field.name }}: {{ error }}</b>{% endfor %}{% endfor %}</form>
</body></html>"""


def add_pages(app: Flask) -> None:
    TaskForm = model_form(Task, only=["title", "notes", "done", "hours"])

    @app.route("/", methods=["GET", "POST"])
    def index() -> ResponseReturnValue:
        form = TaskForm()
        if request.method == "POST" and form.validate_on_submit():
            form.save()
            return redirect("/")
        page = Task.objects.paginate(page=int(request.args.get("page", 1)), per_page=3)
        return render_template_string(PAGE, page=page, form=form)

    @app.route("/tasks/<key>", methods=["GET", "POST"])
    def edit(key: str) -> ResponseReturnValue:
        task = Task.objects.get_or_404(pk=key)
        form = TaskForm(obj=task)
        if request.method == "POST" and form.validate_on_submit():
            form.save()
            return redirect("/")
        page = Task.objects(pk=task.pk).paginate(page=1, per_page=3)
        return render_template_string(PAGE, page=page, form=form)

    @app.post("/sign-in")
    def sign_in() -> ResponseReturnValue:
        session["user"] = request.form["user"]
        return redirect("/")

    @app.post("/sign-out")
    def sign_out() -> ResponseReturnValue:
        session.clear()
        return redirect("/")


def add_answers_in_json(app: Flask) -> None:
    @app.get("/open")
    def still_open() -> dict[str, Any]:
        return {"titles": [task.title for task in Task.objects.open()]}

    @app.get("/first")
    def first() -> dict[str, Any]:
        return {"title": Task.objects(done=True).first_or_404().title}

    @app.get("/tags/<title>/<int:page>")
    def tags(title: str, page: int) -> dict[str, Any]:
        task = Task.objects.get_or_404(title=title)
        found = task.paginate_field("tags", page, 2)
        return {"items": list(found.items), "pages": found.pages}

    @app.get("/json")
    def as_json() -> dict[str, Any]:
        return {"tasks": Task.objects.only("title")[:2]}

    @app.post("/archive")
    def archive() -> dict[str, int]:
        with switch_db(Task, "archive"):
            Task(title="old").save()
            there = Task.objects.count()
        return {"archived": there, "here": Task.objects(title="old").count()}

    @app.delete("/")
    def delete_all() -> dict[str, int]:
        return {"deleted": Task.objects.delete()}


@pytest.fixture
def client(uris: dict[str, str]) -> Iterator[FlaskClient]:
    app = application(
        None,
        "tasks",
        SECRET_KEY="of the tests",
        WTF_CSRF_ENABLED=False,
        DEBUG_TB_ENABLED=True,
        DEBUG_TB_INTERCEPT_REDIRECTS=False,
        DEBUG_TB_PANELS=["datalayer.contrib.flask.debug_panel.MongoDebugPanel"],
        MONGODB_SETTINGS=[
            {"host": uris["MONGODB_URI"]},
            {"host": uris["DATABASE1_URI"], "alias": "archive"},
        ],
    )
    toolbar.DebugToolbarExtension(app)
    with model_registry(Task, Step):
        db.init_app(app)
        app.session_interface = MongoEngineSessionInterface(db)
        add_pages(app)
        add_answers_in_json(app)
        yield app.test_client()


def fill(client: FlaskClient) -> None:
    with client.application.app_context():
        assert set(db.connection) == {"default", "database1", "archive"}
    for number in range(7):
        Task(title=f"task {number}", done=number > 4, tags=list("abc")[: number + 1]).save()


# What each says of the page: texts that are in it, in this order.
REQUESTS: list[tuple[str, str, dict[str, str] | None, int, list[str]]] = [
    (
        "GET",
        "/",
        None,
        200,
        ["nobody", "task 0", "task 2</li></ul>", "1 2 3", "Commands to MongoDB"],
    ),
    ("GET", "/?page=2", None, 200, ["task 3", "task 5</li></ul>"]),
    ("GET", "/?page=3", None, 200, ["<ul><li>task 6</li></ul>"]),
    ("GET", "/?page=4", None, 404, []),
    ("GET", "/?page=0", None, 404, []),
    ("GET", "/open", None, 200, ["task 0", "task 4"]),
    ("GET", "/first", None, 200, ["task 5"]),
    ("GET", "/tags/task 3/1", None, 200, ['["a","b"]', '"pages":2']),
    ("GET", "/tags/task 3/2", None, 200, ['["c"]']),
    ("GET", "/tags/task 3/3", None, 404, []),
    ("GET", "/tags/nothing/1", None, 404, []),
    ("GET", "/json", None, 200, ['"title":"task 0"', '"title":"task 1"']),
    ("POST", "/", {"title": ""}, 200, ["title: This field is required."]),
    ("POST", "/", {"title": "t", "hours": "99"}, 200, ["hours: Number must be between 1 and 40."]),
    ("POST", "/", {"title": "a new one", "hours": "8", "done": "yes"}, 302, []),
    ("GET", "/tasks/LAST", None, 200, ["What to do", 'value="a new one"', "selected", "yes"]),
    ("POST", "/tasks/LAST", {"title": "another", "hours": "9", "done": "no"}, 302, []),
    ("GET", "/tasks/000000000000000000000000", None, 404, []),
    ("POST", "/sign-in", {"user": "ada"}, 302, []),
    ("POST", "/archive", None, 200, ['"archived":1', '"here":0']),
    ("POST", "/sign-out", None, 302, []),
    ("DELETE", "/", None, 200, ['"deleted":8']),
]


def test_22_requests_are_answered_as_they_were(client: FlaskClient) -> None:
    fill(client)
    assert len(REQUESTS) == 22
    for method, path, form, status, texts in REQUESTS:
        last = Task.objects(title__in=["a new one", "another"]).first()
        answer = client.open(path.replace("LAST", str(last and last.pk)), method=method, data=form)
        assert (method, path, answer.status_code) == (method, path, status)
        in_order = ".*".join(map(re.escape, texts))
        assert re.search(in_order, answer.text.replace(": [", ":["), re.DOTALL), (
            path,
            answer.text,
        )


def test_who_has_signed_in_is_known_until_he_signs_out(client: FlaskClient) -> None:
    client.post("/sign-in", data={"user": "ada"})
    assert "<p>ada</p>" in client.get("/").text
    client.post("/sign-out")
    assert "<p>nobody</p>" in client.get("/").text


def test_what_was_typed_is_stored(client: FlaskClient) -> None:
    client.post("/", data={"title": "write", "notes": "", "hours": "3", "done": "yes"})
    task = Task.objects.get()
    assert (task.title, task.notes, task.hours, task.done) == ("write", None, 3, True)
