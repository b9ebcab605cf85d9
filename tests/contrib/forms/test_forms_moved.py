"""What applications on flask-mongoengine call of its forms."""

from __future__ import annotations

from typing import Any

import pytest
import wtforms
from flask import Flask
from mongoengine import fields
from sending import sent, shown
from werkzeug.datastructures import MultiDict

from datalayer import BusinessDocument
from datalayer.contrib.flask import ModelForm, model_form
from datalayer.contrib.wtforms import ModelConverter, model_fields
from datalayer.documents import EmbeddedDocument


class Content(EmbeddedDocument):
    text = fields.StringField()
    lang = fields.StringField(max_length=3)


class Author(BusinessDocument):
    name = fields.StringField()
    meta = {"collection": "moved_authors"}

    def __str__(self) -> str:
        return str(self.name)


class Post(BusinessDocument):
    title = fields.StringField(
        max_length=120,
        required=True,
        validators=[wtforms.validators.InputRequired(message="Missing title.")],
        filters=[lambda text: text and text.strip()],
    )
    lead = fields.StringField(max_length=200)
    body = fields.StringField()
    kind = fields.StringField(choices=(("n", "News"), ("b", "Blog")))
    tags = fields.ListField(fields.StringField(max_length=30))
    kinds = fields.ListField(fields.IntField(choices=((1, "blue"), (2, "red"))))
    authors = fields.ListField(fields.ReferenceField(Author))
    content = fields.EmbeddedDocumentField(Content)
    meta = {"collection": "moved_posts"}

    def authors_label_modifier(self: Any) -> str:
        return f"{self.name}!"


def args(name: str, **kwargs: Any) -> Any:
    return model_form(Post, field_args={name: kwargs})


def test_a_form_takes_the_data_by_hand_and_its_instance(app: Flask) -> None:
    post = Post(title="old", body="text").save()
    with app.test_request_context("/"):
        form = model_form(Post)(MultiDict({"title": " new "}), instance=post)
        assert form.validate(), form.errors
        form.save()
    assert (post.reload().title, post.body) == ("new", "text")


def test_the_fields_own_validators_come_first(app: Flask) -> None:
    form = sent(app, model_form(Post), {"title": ""})
    assert not form.validate()
    assert form.title.errors == ["Missing title."]


def test_validators_in_field_args_take_the_place_of_the_fields(app: Flask) -> None:
    form = sent(app, args("title", validators=[wtforms.validators.Regexp("test")]), {"title": "a"})
    assert not form.validate()
    assert form.title.errors == ["Invalid input."]


def test_shared_arguments_are_not_changed(app: Flask) -> None:
    shared: dict[str, Any] = {"title": {"validators": [wtforms.validators.Regexp("test")]}}
    model_form(Post, field_args=shared)
    model_form(Post, field_args=shared)
    assert len(shared["title"]["validators"]) == 1


@pytest.mark.parametrize(
    ("name", "hint", "kind"),
    [
        ("title", {}, "StringField"),
        ("title", {"textarea": True}, "TextAreaField"),
        ("body", {}, "TextAreaField"),
        ("body", {"textarea": False}, "StringField"),
        ("title", {"password": True}, "PasswordField"),
        ("kind", {}, "SelectField"),
        ("kind", {"radio": True}, "RadioField"),
        ("kind", {"multiple": True}, "SelectMultipleField"),
        ("kinds", {}, "SelectMultipleField"),
        ("tags", {"min_entries": 2}, "FieldList"),
        ("authors", {}, "SelectMultipleField"),
        ("content", {}, "FormField"),
        ("lead", {"wtf_field_class": wtforms.HiddenField}, "HiddenField"),
    ],
)
def test_hints_choose_the_field(app: Flask, name: str, hint: dict[str, Any], kind: str) -> None:
    assert shown(app, args(name, **hint))[name].type == kind


def test_a_list_has_the_least_number_of_rows_asked_for(app: Flask) -> None:
    assert len(shown(app, args("tags", min_entries=2)).tags.entries) == 2


def test_arguments_for_the_rows_stand_inside_those_of_the_list(app: Flask) -> None:
    Form = args("tags", label="All", min_entries=1, field_args={"label": "One"})
    form = shown(app, Form)
    assert (form.tags.label.text, form.tags.entries[0].label.text) == ("All", "One")


def test_arguments_for_the_fields_of_a_part_stand_inside_its_own(app: Flask) -> None:
    form = shown(app, args("content", field_args={"lang": {"label": "Language"}}))
    assert form.content.lang.label.text == "Language"
    assert 'name="content-lang"' in form.content.lang()


def test_a_function_of_the_model_names_the_choices(app: Flask) -> None:
    Author.drop_collection()
    Author(name="ada").save()
    form = shown(app, model_form(Post))
    assert [each.label.text for each in form.authors] == ["ada!"]


def test_a_test_may_send_the_key_itself(app: Flask) -> None:
    author = Author(name="ada").save()
    with app.test_request_context("/"):
        form = model_form(Post)(MultiDict({"title": "a", "authors": [author.pk]}))
    assert form.authors.data == [author]


def test_values_of_whole_numbers_come_back_as_such(app: Flask) -> None:
    form = sent(app, model_form(Post), {"title": "a", "kinds": ["2", "1"]})
    assert form.validate(), form.errors
    assert form.save().reload().kinds == [2, 1]


def test_a_radio_field_may_stay_without_a_choice(app: Flask) -> None:
    form = sent(app, args("kind", radio=True), {"title": "a"})
    assert form.validate(), form.errors
    assert form.save().kind is None


def test_options_of_the_models_field_are_taken(app: Flask) -> None:
    class Painting(BusinessDocument):
        colour = fields.StringField(
            wtf_field_class=wtforms.ColorField,
            wtf_options={"label": "Paint", "render_kw": {"class": "wide"}},
            wtf_validators=[wtforms.validators.AnyOf(["#000000"])],
            wtf_filters=[str],
        )
        sold = fields.BooleanField(
            null=True, wtf_options={"choices": [("", "Who knows"), ("yes", "Aye"), ("no", "Nay")]}
        )

    form = sent(app, model_form(Painting), {"colour": "#ffffff", "sold": "yes"})
    assert (form.colour.type, form.colour.label.text) == ("ColorField", "Paint")
    assert 'class="wide"' in form.colour()
    assert ">Aye</option>" in form.sold()
    assert not form.validate()
    assert set(form.errors) == {"colour"}
    assert form.sold.data is True


def test_a_base_class_of_the_applications_stays(app: Flask) -> None:
    class Base(ModelForm):
        submit = wtforms.SubmitField("Send")

        def validate_title(self, field: Any) -> None:
            raise wtforms.ValidationError("never")

    form = sent(app, model_form(Post, Base), {"title": "a"})
    assert not form.validate()
    assert form.errors == {"title": ["never"]}


def test_a_form_may_be_put_together_from_the_fields(app: Flask) -> None:
    Form = type("Form", (wtforms.Form,), model_fields(Post, only=["title"]))
    assert Form(MultiDict({"title": "a"})).validate()


def test_the_converter_may_be_given(app: Flask) -> None:
    class Converter(ModelConverter):
        def conv_String(self, model: Any, field: Any, kwargs: dict[str, Any]) -> Any:
            return wtforms.fields.SearchField(**kwargs)

    assert shown(app, model_form(Post, converter=Converter())).title.type == "SearchField"


def test_other_names_of_wtforms_attributes_still_work(app: Flask) -> None:
    form = shown(app, model_form(Post), data={"title": "a"})
    assert form.title.data == "a"
