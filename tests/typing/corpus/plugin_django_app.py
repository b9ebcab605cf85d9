"""Views of a Django project."""

from typing import Any

from datalayer.contrib.django import needs_no_database
from datalayer.documents import BusinessDocument
from datalayer.fields import IntField, StringField


class Offer(BusinessDocument):
    title = StringField(required=True)
    price = IntField()


@needs_no_database
def about(request: Any, page: str) -> str:
    return page


def show(request: Any, key: str) -> dict[str, object]:
    offer = Offer.objects(pk=key).first()
    if offer is None:
        raise LookupError(key)
    reveal_type(offer.title)  # is: str
    return {"offer": offer}


reveal_type(about(None, "x"))  # is: str
about(None, 3)  # error: incompatible type "int"; expected "str"
Offer.objects(prize=3)  # error: has no field "prize"; did you mean "price"?
