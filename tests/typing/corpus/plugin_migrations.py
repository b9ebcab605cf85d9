"""A migration's file."""

from datalayer.documents import BusinessDocument
from datalayer.fields import StringField
from datalayer.migrations import Migration


class Lamp(BusinessDocument):
    name = StringField(required=True)


def shorten(lamp: Lamp) -> None:
    lamp.name = lamp.name[:10]


def wrong(name: str) -> None:
    print(name)


def apply(m: Migration) -> None:
    m.rename_field("lamps", "label", "name")
    m.set_default("lamps", "colour", "white")
    m.each(Lamp, shorten)
    m.each(Lamp, wrong)  # error: incompatible type "Callable[[str], None]"
    m.rename_fields("lamps")  # error: has no attribute "rename_fields"


def undo(m: Migration) -> None:
    m.remove_field("lamps", "colour")
