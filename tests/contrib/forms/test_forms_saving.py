"""Forms fill, check and save documents: what is written, what is refused, and where it is said."""

from __future__ import annotations

import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import wtforms
from bson import ObjectId
from flask import Flask, render_template_string
from mongoengine import NotUniqueError, ValidationError, fields, queryset_manager
from sending import sent, sent_json, shown, upload
from werkzeug.datastructures import MultiDict

from datalayer import BusinessDocument, db
from datalayer.contrib.flask import ModelForm, model_form
from datalayer.documents import EmbeddedDocument
from datalayer.errors import OutcomeUnknownError, StaleDocumentError

_numbers = itertools.count()


def model(**attributes: Any) -> Any:
    """A model with a collection of its own: tests share the database."""
    meta = {"collection": f"saved_{next(_numbers)}", **attributes.pop("meta", {})}
    return type("Thing", (BusinessDocument,), {**attributes, "meta": meta})


def titled(**more: Any) -> Any:
    return model(title=fields.StringField(required=True, max_length=20), **more)


def files() -> int:
    database: Any = db.database.client[db.database.name]
    count: int = database["fs.files"].count_documents({})
    return count


# What is written


def test_a_form_makes_a_document(app: Flask) -> None:
    Thing = titled()
    form = sent(app, model_form(Thing), {"title": "news"})
    assert form.validate()
    assert form.save() == Thing.objects.get()


def test_a_form_changes_the_document_that_it_was_made_from(app: Flask) -> None:
    Thing = titled(body=fields.StringField())
    thing = Thing(title="old", body="text").save()
    form = sent(app, model_form(Thing), {"title": "new"}, obj=thing)
    assert form.validate()
    assert form.save() is thing
    assert (thing.reload().title, thing.body) == ("new", "text")


def test_instance_is_another_name_of_obj(app: Flask) -> None:
    thing = titled()(title="old")
    assert shown(app, model_form(type(thing)), instance=thing).title.data == "old"


def test_what_was_sent_besides_is_ignored(app: Flask) -> None:
    Thing = titled(is_admin=fields.BooleanField(default=False))
    form = sent(app, model_form(Thing, only=["title"]), {"title": "a", "is_admin": "y", "id": "1"})
    assert form.validate()
    assert form.save().is_admin is False


def test_a_button_is_not_written(app: Flask) -> None:
    class Form(ModelForm):
        submit = wtforms.SubmitField()

    Thing = titled()
    form = sent(app, model_form(Thing, Form), {"title": "a", "submit": "Send"})
    assert form.validate()
    assert not hasattr(form.save(), "submit")


def test_a_property_that_can_be_set_is_written(app: Flask) -> None:
    class Form(ModelForm):
        password = wtforms.PasswordField()

    def set_password(self: Any, value: str) -> None:
        self.hashed = value[::-1]

    Thing = titled(hashed=fields.StringField(), password=property(None, set_password))
    form = sent(app, model_form(Thing, Form, only=["title"]), {"title": "a", "password": "abc"})
    assert form.validate()
    assert form.save().hashed == "cba"


def test_a_form_class_without_save_gets_it(app: Flask) -> None:
    Thing = titled()
    form = model_form(Thing, wtforms.Form)(MultiDict({"title": "a"}))
    assert form.validate()
    assert form.save().pk is not None


def test_without_commit_nothing_is_saved(app: Flask) -> None:
    Thing = titled()
    form = sent(app, model_form(Thing), {"title": "a"})
    assert form.validate()
    assert form.save(commit=False).title == "a"
    assert Thing.objects.count() == 0


def test_arguments_go_to_the_documents_save(app: Flask) -> None:
    Thing = titled()
    form = sent(app, model_form(Thing), {"title": ""})
    form.save(validate=False)
    assert Thing.objects.count() == 1


def test_save_if_valid_saves_what_was_sent(app: Flask) -> None:
    Thing = titled()
    with app.test_request_context("/", method="POST", data={"title": "a"}):
        assert model_form(Thing)().save_if_valid() == Thing.objects.get()


def test_save_if_valid_saves_nothing_that_is_wrong(app: Flask) -> None:
    Thing = titled()
    with app.test_request_context("/", method="POST", data={"title": ""}):
        assert model_form(Thing)().save_if_valid() is None
    assert Thing.objects.count() == 0


def test_save_if_valid_does_nothing_before_the_form_was_sent(app: Flask) -> None:
    with app.test_request_context("/"):
        form = model_form(titled())()
        assert form.save_if_valid() is None
        assert form.errors == {}


def test_without_flask_a_form_was_sent_if_it_was_given_data(app: Flask) -> None:
    Form = model_form(titled(), wtforms.Form)
    assert Form().save_if_valid() is None
    assert Form(MultiDict({"title": "a"})).save_if_valid().title == "a"


def test_the_key_of_a_stored_document_does_not_change(app: Flask) -> None:
    Thing = model(slug=fields.StringField(primary_key=True, max_length=9))
    thing = Thing(slug="a").save()
    form = sent(app, model_form(Thing), {"slug": "b"}, obj=thing)
    assert form.validate()
    form.save()
    assert [each.pk for each in Thing.objects] == ["a"]


def test_a_key_that_was_typed_replaces_nothing(app: Flask) -> None:
    Thing = model(slug=fields.StringField(primary_key=True, max_length=9), it=fields.IntField())
    Thing(slug="a", it=1).save()
    form = sent(app, model_form(Thing), {"slug": "a", "it": "2"})
    assert not form.validate()
    assert form.slug.errors == ["Another one has this already."]
    with pytest.raises(NotUniqueError):
        form.save()
    assert Thing.objects.get().it == 1


def test_a_forged_request_is_refused(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    Form = model_form(titled())
    with app.test_request_context("/", method="POST", data={"title": "a"}):
        form = Form()
        assert form.save_if_valid() is None
    assert set(form.errors) == {"csrf_token"}


def test_a_request_with_the_pages_token_is_not(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    Form = model_form(titled(part=fields.EmbeddedDocumentField(Part)))

    @app.route("/", methods=["GET", "POST"])
    def page() -> str:
        form = Form()
        return (
            "saved"
            if form.save_if_valid()
            else render_template_string("{{ f.csrf_token }}", f=form)
        )

    client = app.test_client()
    found = re.search(r'value="([^"]+)"', client.get("/").text)
    assert found is not None
    data = {"title": "a", "csrf_token": found[1], "part-name": "b"}
    assert client.post("/", data=data).text == "saved"


class Part(EmbeddedDocument):
    name = fields.StringField(max_length=9)


# What has to be unique


def test_a_value_that_another_one_has_is_refused(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    Thing(mail="a@example.org").save()
    form = sent(app, model_form(Thing), {"mail": "a@example.org"})
    assert not form.validate()
    assert form.mail.errors == ["Another one has this already."]


def test_the_edited_document_may_keep_its_value(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    thing = Thing(mail="a@example.org").save()
    assert sent(app, model_form(Thing), {"mail": "a@example.org"}, obj=thing).validate()


def test_what_is_unique_with_another_field_is_looked_for_with_it(app: Flask) -> None:
    Thing = model(
        shop=fields.StringField(), number=fields.StringField(unique_with="shop", max_length=9)
    )
    Thing(shop="a", number="1").save()
    Form = model_form(Thing, only=["number"])
    assert not sent(app, Form, {"number": "1"}, obj=Thing(shop="a")).validate()
    assert sent(app, Form, {"number": "1"}, obj=Thing(shop="b")).validate()


def test_a_missing_value_is_unique_where_the_index_is_sparse(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True, sparse=True))
    Thing().save()
    assert sent(app, model_form(Thing), {"mail": ""}).validate()


def test_a_second_missing_value_is_refused_where_it_is_not(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    Thing().save()
    assert not sent(app, model_form(Thing), {"mail": ""}).validate()


def test_a_unique_index_of_the_meta_counts_too(app: Flask) -> None:
    Thing = model(
        a=fields.IntField(),
        b=fields.IntField(),
        meta={"indexes": [{"fields": ["a", "b"], "unique": True}]},
    )
    Thing(a=1, b=2).save()
    form = sent(app, model_form(Thing), {"a": "1", "b": "2"})
    assert not form.validate()
    assert form.a.errors == ["Another one has this already."]


def test_a_unique_value_of_a_part_is_refused_beside_it(app: Flask) -> None:
    class Owner(EmbeddedDocument):
        mail = fields.StringField(unique=True, max_length=20)

    Thing = model(owner=fields.EmbeddedDocumentField(Owner))
    Thing(owner=Owner(mail="a")).save()
    form = sent(app, model_form(Thing), {"owner-mail": "a"})
    assert not form.validate()
    assert form.errors == {"owner": {"mail": ["Another one has this already."]}}


def test_a_member_of_a_unique_list_is_refused(app: Flask) -> None:
    Thing = model(names=fields.ListField(fields.StringField(), unique=True))
    Thing(names=["a", "b"]).save()
    assert not sent(app, model_form(Thing), {"names-0": "c", "names-1": "b"}).validate()


def test_of_a_class_that_shares_a_collection_its_own_documents_count(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True), meta={"allow_inheritance": True})
    Special = type("Special", (Thing,), {})
    Special(mail="a@example.org").save()
    assert not sent(app, model_form(Special), {"mail": "a@example.org"}).validate()


def test_one_that_was_saved_meanwhile_is_told_beside_the_field(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    form = sent(app, model_form(Thing), {"mail": "a@example.org"})
    assert form.validate()
    Thing(mail="a@example.org").save()
    with pytest.raises(NotUniqueError):
        form.save()
    assert form.errors == {"mail": ["Another one has this already."]}


def test_of_those_who_send_the_same_at_once_one_is_saved(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    Form, start = model_form(Thing), threading.Barrier(8)

    @app.post("/")
    def save() -> Any:
        form = Form()
        start.wait(60)
        return {"saved": form.save_if_valid() is not None, "errors": form.errors}

    def send(_: int) -> Any:
        return app.test_client().post("/", data={"mail": "a@example.org"}).json

    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(send, range(8)))
    assert Thing.objects.count() == 1
    assert [each["saved"] for each in answers].count(True) == 1
    refused = {"mail": ["Another one has this already."]}
    assert [each["errors"] for each in answers].count(refused) == 7


def test_each_tenant_has_its_own_unique_values(app: Flask) -> None:
    Thing = model(mail=fields.EmailField(unique=True))
    Form = model_form(Thing)
    with db.using(database=f"{db.database.name}_a"):
        Thing(mail="a@example.org").save()
        assert not sent(app, Form, {"mail": "a@example.org"}).validate()
    with db.using(database=f"{db.database.name}_b"):
        assert sent(app, Form, {"mail": "a@example.org"}).validate()


def test_a_querysets_choices_are_those_of_the_tenant(app: Flask) -> None:
    _, Thing, _ = owners(app)
    Form = model_form(Thing)
    with db.using(database=f"{db.database.name}_c"):
        assert [each.label for each in shown(app, Form).owner.iter_choices()] == ["---"]


def test_a_unique_secret_that_stays_is_not_taken_for_a_missing_one(app: Flask) -> None:
    Thing = titled(token=fields.StringField(unique=True, secret=True))
    Thing(title="a").save()
    thing = Thing(title="b", token="t").save()
    assert sent(app, model_form(Thing), {"title": "c", "token": ""}, obj=thing).validate()


# What the model refuses when saving


def test_what_clean_refuses_is_an_error_of_the_form(app: Flask) -> None:
    def clean(self: Any) -> None:
        raise ValidationError("start and end are the same")

    form = sent(app, model_form(titled(clean=clean)), {"title": "a"})
    assert form.validate()
    with pytest.raises(ValidationError):
        form.save()
    assert form.form_errors == ["start and end are the same"]


def test_what_clean_refuses_of_a_field_stands_beside_it(app: Flask) -> None:
    def clean(self: Any) -> None:
        wrong = ValidationError("too dull")
        raise ValidationError("see there", errors={"title": wrong})

    form = sent(app, model_form(titled(clean=clean)), {"title": "a"})
    with pytest.raises(ValidationError):
        form.save()
    assert form.errors == {"title": ["too dull"]}


def test_what_a_part_refuses_stands_beside_its_field(app: Flask) -> None:
    class Owner(EmbeddedDocument):
        name = fields.StringField()

        def clean(self) -> None:
            if self.name == "nobody":
                raise ValidationError("no", errors={"name": ValidationError("somebody, please")})

    Thing = model(owners=fields.EmbeddedDocumentListField(Owner))
    data = {"owners-0-name": "", "owners-1-name": "Ada", "owners-2-name": "nobody"}
    form = sent(app, model_form(Thing), data)
    with pytest.raises(ValidationError):
        form.save()
    assert form.owners.entries[2].errors == {"name": ["somebody, please"]}


def test_what_a_field_refuses_that_the_form_lacks_is_told_with_its_name(app: Flask) -> None:
    Thing = titled(owner=fields.StringField(required=True))
    form = sent(app, model_form(Thing, only=["title"]), {"title": "a"})
    assert form.validate()
    with pytest.raises(ValidationError):
        form.save()
    assert form.form_errors == ["owner: Field is required"]


# Two people


def versioned() -> Any:
    return titled(meta={"versioned": True}, body=fields.StringField())


def page_of(app: Flask, Form: Any, thing: Any) -> dict[str, str]:
    form = shown(app, Form, obj=type(thing).objects.get(pk=thing.pk))
    return {each.name: each._value() for each in form}


def test_of_two_people_who_edit_the_second_is_told(app: Flask) -> None:
    Thing = versioned()
    thing, Form = Thing(title="a").save(), model_form(Thing)
    hers, his = page_of(app, Form, thing), page_of(app, Form, thing)
    first = sent(app, Form, {**hers, "title": "b"}, obj=Thing.objects.get())
    assert first.validate()
    first.save()
    second = sent(app, Form, {**his, "body": "text"}, obj=Thing.objects.get())
    assert second.validate()
    with pytest.raises(StaleDocumentError):
        second.save()
    assert "changed or removed by somebody else" in second.form_errors[0]
    assert (Thing.objects.get().title, Thing.objects.get().body) == ("b", None)


@pytest.mark.parametrize("version", ["x", "-1", "9" * 30, "0"])
def test_a_version_that_somebody_made_up_writes_nothing(app: Flask, version: str) -> None:
    Thing = versioned()
    Thing(title="a").save()
    data = {"title": "b", "version": version}
    assert sent(app, model_form(Thing), data, obj=Thing.objects.get()).save_if_valid() is None
    assert Thing.objects.get().title == "a"


def test_a_form_without_the_version_is_refused(app: Flask) -> None:
    Thing = versioned()
    Thing(title="a").save()
    form = sent(app, model_form(Thing), {"title": "b"}, obj=Thing.objects.get())
    assert not form.validate()
    assert "which version" in form.form_errors[0]


def test_a_new_versioned_document_needs_no_version(app: Flask) -> None:
    for version in ("", "7"):
        form = sent(app, model_form(versioned()), {"title": "a", "version": version})
        assert form.validate(), form.errors
        assert form.save().version == 1


def test_the_version_is_a_hidden_field_whatever_is_chosen(app: Flask) -> None:
    form = shown(app, model_form(versioned(), only=["body"]))
    assert [each.name for each in form] == ["body", "version"]
    assert "version" in form.hidden_tag()


def test_a_document_that_was_removed_meanwhile_is_told(app: Flask) -> None:
    Thing = titled()
    thing = Thing(title="a").save()
    form = sent(app, model_form(Thing), {"title": "b"}, obj=Thing.objects.get())
    assert form.validate()
    thing.delete()
    with pytest.raises(StaleDocumentError):
        form.save()
    assert "changed or removed" in form.form_errors[0]
    assert Thing.objects.count() == 0


# References


def owners(app: Flask, **more: Any) -> tuple[Any, Any, Any]:
    """A model, one that refers to it, and three documents of the former."""
    Owner = model(name=fields.StringField(), __str__=lambda self: f"<{self.name}>")
    Thing = model(owner=fields.ReferenceField(Owner, **more))
    return Owner, Thing, [Owner(name=name).save() for name in ("ada", "bob", "eve")]


def test_a_reference_is_a_choice_of_documents(app: Flask) -> None:
    _, Thing, (_, bob, _) = owners(app)
    form = sent(app, model_form(Thing), {"owner": str(bob.pk)})
    assert form.validate()
    assert form.save().reload().owner == bob


def test_labels_are_escaped(app: Flask) -> None:
    _, Thing, _ = owners(app)
    html = shown(app, model_form(Thing)).owner()
    assert "&lt;ada&gt;" in html
    assert "<ada>" not in html


def test_a_label_attribute_may_be_named(app: Flask) -> None:
    _, Thing, _ = owners(app)
    form = shown(app, model_form(Thing, field_args={"owner": {"label_attr": "name"}}))
    assert [each.label for each in form.owner.iter_choices()] == ["---", "ada", "bob", "eve"]


def test_an_optional_reference_may_be_none(app: Flask) -> None:
    _, Thing, (ada, *_) = owners(app)
    thing = Thing(owner=ada).save()
    form = sent(app, model_form(Thing), {"owner": "__None"}, obj=thing)
    assert form.validate()
    assert form.save().reload().owner is None


def test_a_required_reference_may_not(app: Flask) -> None:
    _, Thing, _ = owners(app, required=True)
    form = sent(app, model_form(Thing), {"owner": "__None"})
    assert not form.validate()
    assert len(form.owner.errors) == 1


@pytest.mark.parametrize("key", ["6" * 24, "no key", "5", ""])
def test_a_document_that_is_not_there_can_not_be_chosen(app: Flask, key: str) -> None:
    _, Thing, _ = owners(app, required=True)
    form = sent(app, model_form(Thing), {"owner": key})
    assert not form.validate()
    assert form.owner.data is None


def test_a_document_outside_of_the_queryset_can_not_be_chosen(app: Flask) -> None:
    Owner, Thing, (ada, bob, _) = owners(app)
    Form = model_form(Thing, field_args={"owner": {"queryset": Owner.objects(name="ada")}})
    assert sent(app, Form, {"owner": str(ada.pk)}).validate()
    form = sent(app, Form, {"owner": str(bob.pk)})
    assert not form.validate()
    assert form.owner.errors == ["Not a valid choice."]


@pytest.mark.parametrize("by", ["pk", "pk__in", "__raw__", "limit"])
def test_a_queryset_of_certain_keys_lets_no_other_through(app: Flask, by: str) -> None:
    Owner, _, (ada, bob, _) = owners(app)
    Thing = model(
        owner=fields.ReferenceField(Owner), owners=fields.ListField(fields.ReferenceField(Owner))
    )
    if by == "limit":
        chosen = Owner.objects.order_by("name").limit(1)
    else:
        key = {"pk": ada.pk, "pk__in": [ada.pk], "__raw__": {"_id": ada.pk}}[by]
        chosen = Owner.objects(**{by: key})
    Form = model_form(
        Thing, field_args={"owner": {"queryset": chosen}, "owners": {"queryset": chosen}}
    )
    form = sent(app, Form, {"owner": str(ada.pk), "owners": [str(ada.pk)]})
    assert form.validate(), form.errors
    form = sent(app, Form, {"owner": str(bob.pk), "owners": [str(ada.pk), str(bob.pk)]})
    assert not form.validate()
    assert set(form.errors) == {"owner", "owners"}


def test_the_one_that_is_referred_to_already_stays(app: Flask) -> None:
    Owner, Thing, (_, bob, _) = owners(app)
    thing = Thing(owner=bob).save()
    Form = model_form(Thing, field_args={"owner": {"queryset": Owner.objects(name="ada")}})
    form = sent(app, Form, {"owner": str(bob.pk)}, obj=thing)
    assert form.validate()
    assert [each.label for each in form.owner.iter_choices()] == ["---", "<ada>", "<bob>"]


@pytest.mark.parametrize("operator", [{"$ne": None}, {"$gt": ""}, ["x"]])
def test_an_operator_is_no_key(app: Flask, operator: Any) -> None:
    _, Thing, _ = owners(app)
    form = sent_json(app, model_form(Thing), {"owner": operator})
    assert not form.validate()
    assert form.owner.errors == ["Not a valid choice."]


def test_a_function_may_give_the_queryset_of_each_request(app: Flask) -> None:
    Owner, Thing, (ada, _, _) = owners(app)
    wanted = {"name": "bob"}
    Form = model_form(Thing, field_args={"owner": {"queryset": lambda: Owner.objects(**wanted)}})
    wanted["name"] = "ada"
    assert sent(app, Form, {"owner": str(ada.pk)}).validate()


def test_no_more_than_the_limit_is_shown_and_that_is_told(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    _, Thing, (_, _, eve) = owners(app)
    Form = model_form(Thing, field_args={"owner": {"limit": 1}})
    form = shown(app, Form, obj=Thing(owner=eve))
    assert [each.label for each in form.owner.iter_choices()] == ["---", "<ada>", "<eve>"]
    assert form.owner.is_cut
    assert "more than 1 documents to choose from" in caplog.text


def test_a_limit_of_the_queryset_itself_is_kept(app: Flask) -> None:
    Owner, Thing, _ = owners(app)
    Form = model_form(Thing, field_args={"owner": {"queryset": Owner.objects.limit(2)}})
    assert len(list(shown(app, Form).owner.iter_choices())) == 3


def test_choices_are_asked_for_when_they_are_shown(app: Flask) -> None:
    Owner, Thing, _ = owners(app)
    form = shown(app, model_form(Thing))
    Owner(name="new").save()
    assert "new" in form.owner()


def test_a_lazy_reference_is_a_choice_too(app: Flask) -> None:
    Owner, _, (ada, bob, _) = owners(app)
    Thing = model(owner=fields.LazyReferenceField(Owner))
    thing = Thing(owner=ada).save()
    form = shown(app, model_form(Thing), obj=Thing.objects.get())
    assert [each.selected for each in form.owner.iter_choices()] == [False, True, False, False]
    form = sent(app, model_form(Thing), {"owner": str(bob.pk)}, obj=Thing.objects.get())
    assert form.validate(), form.errors
    form.save()
    assert thing.reload().owner.pk == bob.pk


@pytest.mark.parametrize("kind", [fields.ReferenceField, fields.LazyReferenceField])
def test_a_reference_to_what_is_not_there_any_more_is_shown_by_its_key(
    app: Flask, kind: Any
) -> None:
    Owner, _, (ada, *_) = owners(app)
    Thing = model(owner=kind(Owner))
    Thing(owner=ada).save()
    ada.delete()
    form = shown(app, model_form(Thing), obj=Thing.objects.get())
    assert list(form.owner.iter_choices())[-1][:3] == (ada.pk, str(ada.pk), True)


def test_a_lazy_reference_outside_of_the_queryset_is_shown_by_its_label(app: Flask) -> None:
    Owner, _, (ada, *_) = owners(app)
    Thing = model(owner=fields.LazyReferenceField(Owner))
    thing = Thing(owner=ada).save()
    Form = model_form(Thing, field_args={"owner": {"queryset": Owner.objects(name="bob")}})
    form = shown(app, Form, obj=thing)
    assert [each.label for each in form.owner.iter_choices()] == ["---", "<bob>", "<ada>"]


@pytest.mark.parametrize("key", ["\ud800", "a\0b", "9" * 5000, True, 1.5, 2**70])
def test_whatever_key_is_sent_it_is_a_valid_choice_or_none(app: Flask, key: Any) -> None:
    Owner = model(name=fields.StringField(primary_key=True))
    Thing = model(
        owner=fields.ReferenceField(Owner), owners=fields.ListField(fields.ReferenceField(Owner))
    )
    form = sent_json(app, model_form(Thing), {"owner": key, "owners": [key, "b"]})
    assert not form.validate()
    assert set(form.errors) == {"owner", "owners"}


def test_a_list_of_references_is_a_choice_of_several(app: Flask) -> None:
    Owner, _, (ada, bob, eve) = owners(app)
    Thing = model(owners=fields.ListField(fields.ReferenceField(Owner)))
    thing = Thing(owners=[ada, bob]).save()
    data = {"owners": [str(eve.pk), str(ada.pk)]}
    form = sent(app, model_form(Thing), data, obj=thing)
    assert form.validate()
    form.save()
    assert thing.reload().owners == [eve, ada]


def test_of_a_list_of_references_none_may_be_unknown(app: Flask) -> None:
    Owner, _, (ada, *_) = owners(app)
    Thing = model(owners=fields.ListField(fields.ReferenceField(Owner)))
    form = sent(app, model_form(Thing), {"owners": [str(ada.pk), str(ObjectId())]})
    assert not form.validate()
    assert form.owners.errors == ["Not a valid choice."]


def test_a_list_of_references_may_be_emptied(app: Flask) -> None:
    Owner, _, (ada, *_) = owners(app)
    Thing = model(owners=fields.ListField(fields.ReferenceField(Owner)))
    thing = Thing(owners=[ada]).save()
    form = sent(app, model_form(Thing), {"other": "x"}, obj=thing)
    assert form.validate()
    form.save()
    assert thing.reload().owners == []


def test_a_queryset_manager_may_give_the_choices(app: Flask) -> None:
    class Dog(BusinessDocument):
        breed = fields.StringField()

        @queryset_manager
        def large(cls, queryset: Any) -> Any:
            return queryset(breed="wolfhound")

    wolfhound = Dog(breed="wolfhound").save()
    Dog(breed="poodle").save()
    Thing = model(dog=fields.ReferenceField(Dog))
    form = shown(app, model_form(Thing, field_args={"dog": {"queryset": Dog.large}}))
    assert [each.value for each in form.dog.iter_choices()] == ["__None", wolfhound.pk]


# Files


def with_file(**options: Any) -> Any:
    return titled(file=fields.FileField(**options))


def stored(app: Flask, contents: bytes = b"old") -> Any:
    Thing = with_file()
    form = sent(app, model_form(Thing), {"title": "a", "file": upload(contents, "a.txt")})
    assert form.validate(), form.errors
    return form.save()


def test_an_upload_goes_into_gridfs(app: Flask) -> None:
    thing = stored(app).reload()
    assert (thing.file.read(), thing.file.filename) == (b"old", "a.txt")
    assert thing.file.get()._file["contentType"] == "text/plain"


def test_without_an_upload_the_file_stays(app: Flask) -> None:
    thing = stored(app)
    form = sent(app, model_form(type(thing)), {"title": "b", "file": upload(b"", "")}, obj=thing)
    assert form.validate()
    assert form.save().reload().file.read() == b"old"


def test_another_upload_replaces_the_file(app: Flask) -> None:
    thing = stored(app)
    before = files()
    data = {"title": "a", "file": upload(b"new", "b.txt")}
    form = sent(app, model_form(type(thing)), data, obj=type(thing).objects.get())
    assert form.validate()
    form.save()
    assert type(thing).objects.get().file.read() == b"new"
    assert files() == before


def test_a_box_deletes_the_file(app: Flask) -> None:
    thing = stored(app)
    before = files()
    assert 'name="file-delete"' in shown(app, model_form(type(thing)), obj=thing).file()
    data = {"title": "a", "file-delete": "y"}
    form = sent(app, model_form(type(thing)), data, obj=type(thing).objects.get())
    assert form.validate()
    form.save()
    assert not type(thing).objects.get().file
    assert files() == before - 1


def test_a_required_file_can_not_be_deleted(app: Flask) -> None:
    Thing = with_file(required=True)
    assert not sent(app, model_form(Thing), {"title": "a"}).validate()
    form = sent(app, model_form(Thing), {"title": "a", "file": upload(b"old", "a.txt")})
    assert form.validate(), form.errors
    thing = form.save()
    form = sent(app, model_form(Thing), {"title": "a", "file-delete": "y"}, obj=thing)
    assert form.validate()
    assert form.save().reload().file.read() == b"old"


def test_a_file_that_is_too_large_is_refused(app: Flask) -> None:
    Form = model_form(with_file(), field_args={"file": {"max_bytes": 3}})
    form = sent(app, Form, {"title": "a", "file": upload(b"1234", "a.txt")})
    assert not form.validate()
    assert form.file.errors == ["This file is too large."]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_document_that_can_not_be_saved_keeps_its_file(
    app: Flask, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = stored(app)
    before = files()
    error: Exception = ValidationError("no") if is_known else OutcomeUnknownError("perhaps")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    data = {"title": "a", "file": upload(b"new", "b.txt")}
    form = sent(app, model_form(type(thing)), data, obj=type(thing).objects.get())
    assert form.validate()
    monkeypatch.setattr(type(thing), "save", fail)
    with pytest.raises(type(error)):
        form.save()
    assert type(thing).objects.get().file.read() == b"old"
    assert files() == (before if is_known else before + 1)
    assert form.instance.file.read() == (b"old" if is_known else b"new")


def test_a_file_that_its_field_refuses_is_told_beside_it(app: Flask) -> None:
    class Picky(fields.GridFSProxy):
        def put(self, file_obj: Any, **kwargs: Any) -> None:
            raise ValidationError("Invalid image")

    class PictureField(fields.FileField):
        proxy_class = Picky

    Thing = titled(file=fields.FileField(), picture=PictureField())
    before = files()
    data = {"title": "a", "file": upload(b"1", "a.txt"), "picture": upload(b"2", "b.png")}
    form = sent(app, model_form(Thing), data)
    assert form.save_if_valid() is None
    assert form.errors == {"picture": ["Invalid image"]}
    assert (files(), Thing.objects.count()) == (before, 0)


def test_a_file_of_a_part_is_stored_with_it(app: Flask) -> None:
    class Page(EmbeddedDocument):
        scan = fields.FileField()

    Thing = model(pages=fields.EmbeddedDocumentListField(Page))
    data = {"pages-0-scan": upload(b"1", "a.txt"), "pages-1-scan": upload(b"2", "b.txt")}
    form = sent(app, model_form(Thing), data)
    assert form.validate(), form.errors
    form.save()
    assert [each.scan.read() for each in Thing.objects.get().pages] == [b"1", b"2"]
    form = sent(
        app,
        model_form(Thing),
        {"pages-1-scan": upload(b"3", "c.txt"), "pages-0-scan": upload(b"", "")},
        obj=Thing.objects.get(),
    )
    assert form.validate(), form.errors
    form.save()
    assert [each.scan.read() for each in Thing.objects.get().pages] == [b"1", b"3"]


def test_a_text_is_no_upload(app: Flask) -> None:
    form = sent(app, model_form(with_file()), {"title": "a", "file": "text"})
    assert form.validate()
    assert not form.save().file


def test_populate_obj_stores_files_too(app: Flask) -> None:
    thing = stored(app)
    before = files()
    data = {"title": "a", "file": upload(b"new", "b.txt")}
    form = sent(app, model_form(type(thing)), data, obj=thing)
    form.populate_obj(thing)
    thing.save()
    assert type(thing).objects.get().file.read() == b"new"
    assert files() == before
