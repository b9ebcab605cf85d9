"""Generic views, shortcuts, pages and templates of documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import EmptyPage
from django.http import Http404
from django.template import Context, Engine
from django.test import Client, RequestFactory
from django.urls import path
from django_in_process import django_site
from fresh_databases import model_registry
from mongoengine.fields import IntField, ReferenceField, StringField
from observing import SentCommands, commands_sent

from datalayer.contrib.django import connect
from datalayer.contrib.django.generic import (
    CreateView,
    DeleteView,
    DetailView,
    DocumentPaginator,
    ListView,
    UpdateView,
)
from datalayer.contrib.django.shortcuts import get_list_or_404, get_object_or_404
from datalayer.documents import BusinessDocument

with model_registry():

    class Seller(BusinessDocument):
        name = StringField()

        meta = {"collection": "view_sellers"}

    class Offer(BusinessDocument):
        title = StringField(required=True, max_length=10)
        slug = StringField(unique=True, sparse=True)
        price = IntField()
        seller = ReferenceField(Seller)

        meta = {"collection": "view_offers"}


class Cheap(ListView):
    template_name = "list.html"

    def get_queryset(self) -> Any:
        return Offer.objects(price__lt=3)


EDITING: dict[str, Any] = {
    "document": Offer,
    "fields": ["title", "slug"],
    "template_name": "form.html",
    "success_url": "/offers/{pk}",
}
urlpatterns = [
    path(
        "offers",
        ListView.as_view(
            document=Offer, paginate_by=2, ordering="price", template_name="list.html"
        ),
    ),
    path(
        "by-key",
        ListView.as_view(
            document=Offer,
            paginate_by=2,
            paginate_by_key=True,
            ordering="price",
            template_name="by-key.html",
        ),
    ),
    path("all", ListView.as_view(document=Offer, template_name="twice.html")),
    path("some", Cheap.as_view(allow_empty=False)),
    path("offers/new", CreateView.as_view(**EDITING)),
    path("offers/<pk>", DetailView.as_view(document=Offer, template_name="detail.html")),
    path("named/<slug>", DetailView.as_view(document=Offer, template_name="detail.html")),
    path("offers/<pk>/edit", UpdateView.as_view(**EDITING)),
    path(
        "offers/<pk>/delete",
        DeleteView.as_view(document=Offer, template_name="sure.html", success_url="/gone/{title}"),
    ),
]
PAGES = {
    "list.html": "{% for offer in offer_list %}{{ offer.title }} {% endfor %}"
    "{{ page_obj.number }}/{{ paginator.num_pages }} of {{ paginator.count }}",
    "twice.html": "{% for offer in object_list %}{{ offer.title }}{% endfor %}"
    "{% for offer in offer_list %}, {{ offer.price }}{% endfor %}",
    "by-key.html": "{% for offer in offer_list %}{{ offer.price }} {% endfor %}"
    "{{ page_obj.previous|default:'' }}|{{ page_obj.next|default:'' }}",
    "detail.html": "{{ offer.title }} {{ object.pk }}",
    "form.html": "{{ form.as_div }}",
    "sure.html": "Delete {{ offer.title }}?",
}
LOADERS = [("django.template.loaders.locmem.Loader", PAGES)]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": LOADERS},
    }
]


@pytest.fixture
def sent() -> Iterator[SentCommands]:
    with commands_sent() as noted:
        yield noted


@pytest.fixture
def site(sent: SentCommands, uris: dict[str, str]) -> Iterator[Client]:
    with (
        django_site(DATALAYER=uris, ROOT_URLCONF=__name__, TEMPLATES=TEMPLATES),
        model_registry(Offer, Seller),
    ):
        connect()
        yield Client()


def offers(number: int) -> list[Any]:
    return [Offer(title=f"offer {each}", price=each).save() for each in range(number)]


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return str(answer.content.decode()).strip()


# Shortcuts


def test_the_one_that_matches_is_found_by_class_and_by_queryset(site: Client) -> None:
    one, other = offers(2)
    assert get_object_or_404(Offer, pk=one.pk) == one
    assert get_object_or_404(Offer.objects(price=1), title="offer 1") == other


@pytest.mark.parametrize("key", [ObjectId(), "nonsense", "", {"$ne": None}])
def test_what_no_document_has_is_not_found(site: Client, key: Any) -> None:
    offers(1)
    with pytest.raises(Http404, match=r"No Offer matches the given query\."):
        get_object_or_404(Offer, pk=key)


def test_several_are_an_error_and_no_404(site: Client) -> None:
    offers(2)
    with pytest.raises(Offer.MultipleObjectsReturned):
        get_object_or_404(Offer)


def test_a_list_is_never_empty(site: Client) -> None:
    offers(2)
    assert [each.price for each in get_list_or_404(Offer.objects(price=1))] == [1]
    assert len(get_list_or_404(Offer)) == 2
    for wrong in ({"price": 7}, {"price": "x"}):
        with pytest.raises(Http404):
            get_list_or_404(Offer, **wrong)


def test_the_orm_s_models_go_to_django_s_own(site: Client) -> None:
    with pytest.raises(ValueError, match="must be a Model, Manager, or QuerySet"):
        get_object_or_404(object())


# Pages


def test_a_page_takes_one_count_and_one_query(site: Client, sent: SentCommands) -> None:
    offers(5)
    sent.clear()
    page = DocumentPaginator(Offer.objects.order_by("price"), 2).page(2)
    assert [each.price for each in page] == [2, 3]
    assert (page.paginator.count, page.paginator.num_pages) == (5, 3)
    assert (page.has_next(), page.has_previous()) == (True, True)
    assert sent.names == ["count", "find"]


def test_what_a_page_refers_to_takes_one_query(site: Client, sent: SentCommands) -> None:
    for name in ("Ada", "Bob"):
        Offer(title=name, seller=Seller(name=name).save()).save()
    sent.clear()
    page = DocumentPaginator(Offer.objects.order_by("title"), 2).page(1)
    assert [each.seller.name for each in page] == ["Ada", "Bob"]
    assert sent.names == ["count", "find", "find"]


def test_a_known_total_is_not_counted(site: Client, sent: SentCommands) -> None:
    offers(3)
    sent.clear()
    page = DocumentPaginator(Offer.objects, 2, total=3).page(2)
    assert len(list(page)) == 1
    assert sent.names == ["find"]


def test_a_limited_queryset_has_the_pages_of_what_it_shows(site: Client) -> None:
    offers(5)
    assert DocumentPaginator(Offer.objects.limit(3), 2).num_pages == 2
    assert DocumentPaginator([1, 2, 3], 2).num_pages == 2
    with pytest.raises(EmptyPage):
        DocumentPaginator(Offer.objects, 2).page(4)


# Views


def test_a_list_view_has_pages(site: Client) -> None:
    offers(5)
    assert text_of(site.get("/offers?page=2")) == "offer 2 offer 3 2/3 of 5"
    assert text_of(site.get("/offers?page=last")) == "offer 4 3/3 of 5"
    assert site.get("/offers?page=9").status_code == 404


def test_pages_by_key_are_neither_counted_nor_skipped(site: Client, sent: SentCommands) -> None:
    offers(5)
    sent.clear()
    found, after = [], ""
    while True:
        shown, _, after = text_of(site.get("/by-key", {"after": after})).rpartition("|")
        found += shown.split()[:2]
        if not after:
            break
    assert [each for each in found if len(each) == 1] == list("01234")
    assert sent.names == ["find"] * 3
    assert all(not each.get("skip") for each in sent.commands)


@pytest.mark.parametrize("after", ["nonsense", "eyJh", "$where"])
def test_a_key_that_is_none_is_not_found(site: Client, after: str) -> None:
    assert site.get("/by-key", {"after": after}).status_code == 404


def test_a_list_is_read_once_however_often_the_template_uses_it(
    site: Client, sent: SentCommands
) -> None:
    offers(2)
    sent.clear()
    assert text_of(site.get("/all")) == "offer 0offer 1, 0, 1"
    assert sent.names == ["find"]


def test_a_queryset_of_one_s_own_is_listed_and_an_empty_one_is_404(site: Client) -> None:
    assert site.get("/some").status_code == 404
    offers(5)
    assert text_of(site.get("/some")).startswith("offer 0 offer 1 offer 2")


def test_a_detail_view_finds_by_key_and_by_slug(site: Client) -> None:
    offer = Offer(title="lamp", slug="red-lamp").save()
    assert text_of(site.get(f"/offers/{offer.pk}")) == f"lamp {offer.pk}"
    assert text_of(site.get("/named/red-lamp")) == f"lamp {offer.pk}"
    for page in ("/offers/nonsense", f"/offers/{ObjectId()}", "/named/x"):
        assert site.get(page).status_code == 404


def test_a_document_is_created_and_changed_by_forms(site: Client) -> None:
    assert 'name="title"' in text_of(site.get("/offers/new"))
    answer = site.post("/offers/new", {"title": "lamp", "price": "9"})
    offer = Offer.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/offers/{offer.pk}")
    assert offer.price is None
    page = f"/offers/{offer.pk}/edit"
    assert 'value="lamp"' in text_of(site.get(page))
    assert "This field is required." in text_of(site.post(page, {"title": ""}))
    site.post(page, {"title": "vase"})
    assert Offer.objects.get().title == "vase"


def test_what_the_database_refuses_is_shown_in_the_form(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalayer.contrib.django.forms import document_forms

    Offer(title="lamp", slug="lamp").save()
    monkeypatch.setattr(document_forms, "taken", lambda *_, **__: ())  # taken only afterwards
    answer = site.post("/offers/new", {"title": "vase", "slug": "lamp"})
    assert "There is another one with this value." in text_of(answer)
    assert Offer.objects.count() == 1


def test_a_document_is_deleted_after_one_was_asked(site: Client) -> None:
    (offer,) = offers(1)
    page = f"/offers/{offer.pk}/delete"
    assert text_of(site.get(page)) == "Delete offer 0?"
    assert Offer.objects.count() == 1
    assert site.post(page).headers["Location"] == "/gone/offer%200"
    assert Offer.objects.count() == 0


def test_templates_are_named_after_the_application_and_the_document(site: Client) -> None:
    from django_site.models import Note

    assert ListView(document=Note, object_list=None).get_template_names() == [
        "django_site/note_list.html"
    ]
    assert CreateView(document=Note).get_template_names() == ["django_site/note_form.html"]


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (ListView.as_view(), "has no document to list"),
        (DetailView.as_view(), "has no document to show"),
        (CreateView.as_view(document=Offer), "says neither which fields"),
        (CreateView.as_view(document=Offer, fields=[], form_class=dict), "has both fields and"),
    ],
)
def test_a_view_that_lacks_something_says_what(site: Client, view: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        view(RequestFactory().get("/"), pk="1")


# Templates


def test_templates_count_and_go_through_querysets(site: Client) -> None:
    offers(2)
    template = Engine().from_string(
        "{{ offers.count }}{% for offer in offers.all %} {{ offer.price }}{% endfor %}"
    )
    assert template.render(Context({"offers": Offer.objects})) == "2 0 1"


@pytest.mark.parametrize("what", ["offer.delete", "offers.delete", "offer.drop_collection"])
def test_no_template_deletes_anything(site: Client, what: str) -> None:
    offers(2)
    template = Engine().from_string(f"{{{{ {what} }}}}")
    context = Context({"offer": Offer.objects.first(), "offers": Offer.objects})
    assert template.render(context) == ""
    assert Offer.objects.count() == 2
