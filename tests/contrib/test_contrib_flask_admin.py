"""Flask-Admin's views of datalayer's models, by a client that does what a browser would do."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask
from flask.testing import FlaskClient
from flask_applications import application, clean_environment
from fresh_databases import model_registry
from mongoengine.fields import (
    BooleanField,
    EmbeddedDocumentField,
    FileField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.contrib.flask import DataLayer
from datalayer.documents import (
    EmbeddedDocument,
    MoneyField,
    NormalizedEmailField,
    SecretField,
    UTCDateTimeField,
)

flask_admin: Any = pytest.importorskip("flask_admin")
admin: Any = pytest.importorskip("datalayer.contrib.flask.admin")

__all__ = ["clean_environment"]

# What Flask-Admin has to do before the next WTForms.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'DateTimeField' renders:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Yielding raw tuples:DeprecationWarning"),
]


class Author(BusinessDocument):
    email = NormalizedEmailField(required=True, unique=True)
    token = SecretField()

    meta = {"versioned": True}

    def __str__(self) -> str:
        return str(self.email)


class Address(EmbeddedDocument):
    street = StringField(max_length=50)
    door_code = StringField(secret=True)


class Remark(EmbeddedDocument):
    text = StringField(max_length=50)


class Book(BusinessDocument):
    title = StringField(required=True, max_length=60)
    author = ReferenceField(Author)
    pages = IntField(min_value=1)
    price = MoneyField()
    sold = BooleanField()
    printed_at = UTCDateTimeField()
    tags = ListField(StringField(max_length=20))
    shop = EmbeddedDocumentField(Address)
    remarks = ListField(EmbeddedDocumentField(Remark))
    cover = FileField(collection_name="covers")


class Download(AnalyticsDocument):
    file = FileField(collection_name="downloads")


@pytest.fixture
def library(uris: dict[str, str]) -> Any:
    class BookView(admin.ModelView):  # type: ignore[misc]
        column_searchable_list = ("title",)
        column_filters = ("title", "pages", "price", "sold", "printed_at", "author")
        column_editable_list = ("pages",)
        can_view_details = True
        named_filter_urls = True

    class AuthorView(admin.ModelView):  # type: ignore[misc]
        column_searchable_list = ("email",)

    app = application(None, "library", SECRET_KEY="test", **uris)
    DataLayer(app).connect_now(app)
    pages = flask_admin.Admin(app)
    pages.add_view(BookView(Book))
    pages.add_view(AuthorView(Author))
    pages.add_view(admin.ModelView(Download))
    with model_registry(Author, Address, Remark, Book, Download):
        yield app


@pytest.fixture
def client(library: Flask) -> FlaskClient:
    return library.test_client()


def titles(client: FlaskClient, query: str = "") -> list[str]:
    answer = client.get(f"/admin/book/{query}")
    assert answer.status_code == 200
    return re.findall(r'col-title">\s*(?:<a[^>]*>)?\s*([^<]*?)\s*<', answer.text)[1:]


def sorting_by(client: FlaskClient, column: str) -> str:
    page = client.get("/admin/book/").text
    link = re.search(rf'col-{column}">\s*<a href="/admin/book/([^"]+)"', page)
    assert link is not None, "there is no link to sort by it"
    return link.group(1).replace("&amp;", "&")


def fields_of(page: str) -> set[str]:
    return set(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', page))


def test_a_document_is_created_from_the_form(client: FlaskClient) -> None:
    author = Author(email="ada@example.org").save()
    form = {
        "title": "Notes",
        "author": str(author.pk),
        "pages": "12",
        "price": "12.50",
        "sold": "y",
        "printed_at": "2026-01-02 03:04:05",
        "tags-0": "maths",
        "tags-1": "engines",
        "shop-street": "St James's Square",
        "remarks-0-text": "good",
        "cover": (io.BytesIO(b"a picture"), "cover.png", "image/png"),
    }
    answer = client.post("/admin/book/new/", data=form)
    assert answer.status_code == 302, answer.text
    book = Book.objects.get()
    assert (book.title, book.author, book.pages, book.sold) == ("Notes", author, 12, True)
    assert book.price == Decimal("12.50")
    assert book.printed_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert list(book.tags) == ["maths", "engines"]
    assert book.shop.street == "St James's Square"
    assert [remark.text for remark in book.remarks] == ["good"]
    assert book.cover.read() == b"a picture"


def test_what_the_model_refuses_is_told_and_not_stored(client: FlaskClient) -> None:
    answer = client.post("/admin/book/new/", data={"title": "", "pages": "0"})
    assert answer.status_code == 200
    assert "This field is required" in answer.text
    assert Book.objects.count() == 0


def test_a_second_of_what_is_unique_is_told_and_not_stored(client: FlaskClient) -> None:
    Author(email="ada@example.org").save()
    answer = client.post("/admin/author/new/", data={"email": "ADA@example.org"})
    assert "Failed to create record" in answer.text
    assert Author.objects.count() == 1


def test_only_what_was_edited_is_changed(client: FlaskClient) -> None:
    book = Book(title="Notes", pages=12, shop=Address(street="Square", door_code="1815")).save()
    page = client.get(f"/admin/book/edit/?id={book.pk}")
    assert 'value="12"' in page.text
    form = {"title": "More notes", "pages": "13", "shop-street": "Circle"}
    assert client.post(f"/admin/book/edit/?id={book.pk}", data=form).status_code == 302
    found = Book.objects.get()
    assert (found.title, found.pages, found.shop.street) == ("More notes", 13, "Circle")
    assert found.shop.door_code == "1815"
    assert found.created_at == book.created_at
    assert found.updated_at > book.updated_at


def test_a_value_is_edited_in_the_list(client: FlaskClient) -> None:
    book = Book(title="Notes", pages=12).save()
    form = {"list_form_pk": str(book.pk), "pages": "99"}
    assert client.post("/admin/book/ajax/update/", data=form).status_code == 200
    assert Book.objects.get().pages == 99


def test_a_document_and_several_are_deleted(client: FlaskClient) -> None:
    books = [Book(title=f"book {number}").save() for number in range(4)]
    client.post("/admin/book/delete/", data={"id": str(books[0].pk)})
    rows = [str(book.pk) for book in books[1:3]]
    client.post("/admin/book/action/", data={"action": "delete", "rowid": rows})
    assert [book.title for book in Book.objects] == ["book 3"]


def test_the_list_has_pages_and_an_order(client: FlaskClient) -> None:
    Book.objects.insert([Book(title=f"book {number:02}") for number in range(25)])
    by_title = sorting_by(client, "title")
    assert titles(client, f"{by_title}&desc=1")[:2] == ["book 24", "book 23"]
    assert titles(client, f"{by_title}&page=1") == [f"book {number}" for number in range(20, 25)]


@pytest.mark.parametrize("column", ["printed_at", "price", "created_at", "title", "sold"])
def test_a_column_of_each_kind_sorts(client: FlaskClient, column: str) -> None:
    assert client.get(f"/admin/book/{sorting_by(client, column)}").status_code == 200


def test_the_search_finds_text_as_it_stands(client: FlaskClient) -> None:
    Book.objects.insert([Book(title="a+b"), Book(title="aab")])
    assert titles(client, "?search=A%2Bb") == ["a+b"]
    Author(email="ada@example.org").save()
    assert "ada@example.org" in client.get("/admin/author/?search=ADA").text


FILTERS = {
    "title_contains": "Not",
    "pages_greater_than": "11",
    "price_equals": "12.50",
    "price_smaller_than": "13",
    "sold_equals": "1",
    "printed_at_greater_than": "2026-01-01 00:00:00",
    "printed_at_between": "2026-01-01 00:00:00 to 2026-02-01 00:00:00",
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_finds(client: FlaskClient, name: str) -> None:
    printed_at = "2026-01-02T03:04:05"
    Book(title="Notes", pages=12, price="12.50", sold=True, printed_at=printed_at).save()
    Book(title="other", pages=1, price="14", printed_at="2025-01-02").save()
    assert titles(client, f"?flt0_{name}={FILTERS[name]}") == ["Notes"]


def test_a_filter_finds_what_refers_to_a_document(client: FlaskClient) -> None:
    author = Author(email="ada@example.org").save()
    Book.objects.insert([Book(title="Notes", author=author), Book(title="other")])
    assert titles(client, f"?flt0_author_objectid_equals={author.pk}") == ["Notes"]


def test_a_filter_of_amounts_takes_no_words(client: FlaskClient) -> None:
    Book(title="Notes", price="1").save()
    assert client.get("/admin/book/?flt0_price_equals=much").status_code == 200


def test_secrets_are_in_no_list_and_in_no_form(client: FlaskClient) -> None:
    author = Author(email="ada@example.org", token="canary").save()
    Book(title="Notes", shop=Address(street="Square", door_code="canary")).save()
    for page in ("author/", f"author/edit/?id={author.pk}", "book/", "author/new/"):
        text = client.get(f"/admin/{page}").text
        assert "canary" not in text
        assert not fields_of(text) & {"token", "shop-door_code"}


def test_what_datalayer_keeps_is_in_no_form(client: FlaskClient) -> None:
    assert not fields_of(client.get("/admin/author/new/").text) & {
        "created_at",
        "updated_at",
        "version",
    }


def test_fields_that_are_named_are_shown_all_the_same(uris: dict[str, str]) -> None:
    class Everything(admin.ModelView):  # type: ignore[misc]
        form_columns = ("email", "token", "created_at")
        column_list = ("token",)

    app = application(None, "library", SECRET_KEY="test", **uris)
    DataLayer(app)
    flask_admin.Admin(app).add_view(Everything(Author))
    page = app.test_client().get("/admin/author/new/").text
    assert {"email", "token", "created_at"} <= fields_of(page)


def test_a_file_is_saved_by_the_browser(client: FlaskClient) -> None:
    book = Book(title="Notes")
    book.cover.put(b"<script>", filename="cover.html", content_type="text/html")
    book.save()
    link = re.search(r'href="(/admin/book/api/file/[^"]+)"', client.get("/admin/book/").text)
    assert link is not None
    answer = client.get(link.group(1).replace("&amp;", "&"))
    assert answer.data == b"<script>"
    assert answer.headers["Content-Disposition"] == "attachment; filename=cover.html"


def test_a_file_of_an_analytics_model_is_found_in_its_database(client: FlaskClient) -> None:
    download = Download()
    download.file.put(b"data", filename="data.bin")
    download.save()
    path = f"/admin/download/api/file/?coll=downloads&id={download.file.grid_id}"
    assert client.get(path).data == b"data"


@pytest.mark.parametrize(
    "query",
    ["coll=covers&id=nonsense", "coll=covers&id=" + "6" * 24, "coll=covers", "", "coll=fs&id=1"],
)
def test_what_is_no_file_of_the_model_is_not_found(client: FlaskClient, query: str) -> None:
    assert client.get(f"/admin/book/api/file/?{query}").status_code == 404


def test_a_view_shows_no_files_of_others(client: FlaskClient) -> None:
    download = Download()
    download.file.put(b"data", filename="data.bin")
    download.save()
    path = f"/admin/book/api/file/?coll=downloads&db=database1&id={download.file.grid_id}"
    assert client.get(path).status_code == 404


def test_a_page_says_that_the_document_is_gone(client: FlaskClient) -> None:
    answer = client.get(f"/admin/book/edit/?id={ObjectId()}", follow_redirects=True)
    assert "Record does not exist" in answer.text


def test_without_a_connection_the_views_are_made(uris: dict[str, str]) -> None:
    app = application(None, "library", SECRET_KEY="test", **uris)
    DataLayer(app)
    flask_admin.Admin(app).add_view(admin.ModelView(Book))
    assert not db.database.is_connected


def test_references_are_looked_up_while_one_types(uris: dict[str, str]) -> None:
    class BookView(admin.ModelView):  # type: ignore[misc]
        form_ajax_refs = {"author": {"fields": ["email"]}}

    app = application(None, "library", SECRET_KEY="test", **uris)
    DataLayer(app)
    flask_admin.Admin(app).add_view(BookView(Book))
    client = app.test_client()
    client.get("/admin/book/")
    author = Author(email="ada@example.org").save()
    found = client.get("/admin/book/ajax/lookup/?name=author&query=ADA").json
    assert found == [[str(author.pk), "ada@example.org"]]
    client.post("/admin/book/new/", data={"title": "Notes", "author": str(author.pk)})
    assert Book.objects.get().author == author
