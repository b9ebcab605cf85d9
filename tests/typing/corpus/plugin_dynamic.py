"""Documents that take any further field."""

from datalayer.documents import (
    DynamicBusinessDocument,
    DynamicDocument,
    DynamicEmbeddedDocument,
    define_model,
)
from datalayer.fields import EmbeddedDocumentField, IntField, StringField


class Extra(DynamicEmbeddedDocument):
    kind = StringField()


class Event(DynamicBusinessDocument):
    name = StringField(required=True)
    count = IntField()
    extra = EmbeddedDocumentField(Extra)


event = Event(name="x", anything=1)
reveal_type(event.name)  # is: str
reveal_type(event.anything)  # is: Any
found = Event.objects(anything=1, anything__deeper__gt=2, extra__more=1).first()
reveal_type(found)  # is: Event | None
Event.objects.order_by("-anything").update(set__anything=1)
Event(count="x")  # error: incompatible type "str"; expected "int | None"
Event.objects(count="x")  # error: incompatible type "str"; expected "int | None"
Event.objects(name__first="x")  # error: has no field "first"

View = define_model(DynamicDocument, "View", {"path": StringField(required=True)})
reveal_type(View)  # is: type[DynamicDocument]
View(path="/").save()
