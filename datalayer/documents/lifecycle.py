"""A status that moves only along the ways that a model allows, and only once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mongoengine.errors import ValidationError

from datalayer.errors import restored_error


class TransitionError(ValidationError):
    """A document can't go to the status asked for; ``source`` is the one that it has now."""

    def __init__(self, message: str, *, source: str | None, target: str) -> None:
        super().__init__(message, field_name="status")
        self.source = source
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        # By its state, as its arguments have names.
        return restored_error, (type(self), self.args, self.__dict__)


class Lifecycle:
    """For documents with a field ``status`` and a table of the moves that are allowed.

        class Order(Lifecycle, BusinessDocument):
            transitions = {"open": {"paid", "cancelled"}, "paid": {"sent"}}
            status = StringField(choices=("open", "paid", "sent", "cancelled"), default="open")

    A status that was assigned is refused by ``save``: move it with ``move_to``.
    """

    transitions: ClassVar[Mapping[str, frozenset[str] | set[str]]] = {}

    def move_to(self, status: str, **changes: Any) -> None:
        """Go to ``status`` in the database, and set the fields in ``changes`` with it.

        One conditional update: of two workers that move the same document, one succeeds and
        the other gets the error. Afterwards the document is as the database has it; changes
        that were not saved are gone.

        Raises:
            TransitionError: when the table doesn't allow it, or the document has meanwhile left
                the status that this copy shows.
        """
        document: Any = self
        held = document.status
        if status not in self.transitions.get(held, ()):
            raise _refusal(document, held, status)
        if not document.modify({"status": held}, set__status=status, **changes):
            found = type(document).objects(pk=document.pk).only("status").first()
            raise _refusal(document, found.status if found else None, status)

    def clean(self) -> None:
        """Refuse a status that was assigned to a saved document."""
        super().clean()  # type: ignore[misc]
        document: Any = self
        if not document._created and "status" in document._get_changed_fields():
            raise ValidationError("the status is moved by methods, not assigned")


def _refusal(document: Any, source: str | None, target: str) -> TransitionError:
    name = type(document).__name__
    state = f"is {source!r} now and" if source is not None else "does not exist any more and"
    return TransitionError(
        f"this {name} {state} can't become {target!r}", source=source, target=target
    )
