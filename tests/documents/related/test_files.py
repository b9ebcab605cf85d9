"""Files of documents: in the document's own database, with datalayer's errors, and undone by a
rollback, in memory too."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from fresh_databases import emptied, model_registry
from mongoengine import EmbeddedDocumentField, FileField, ListField, ReferenceField, StringField
from mongoengine.errors import OperationError, ValidationError
from mongoengine.fields import GridFSError, GridFSProxy, ImageField
from mongoengine.queryset import DENY

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import AnalyticsDocument, BusinessDocument, EmbeddedDocument, define_model
from datalayer.errors import (
    ConfigurationError,
    NotConnectedError,
    TransactionError,
    UnavailableError,
)
from datalayer.settings import Settings

ALIASES = ("default", "database1", "archive")


class Letter(BusinessDocument):
    title = StringField()
    scan = FileField()
    pages = ListField(FileField())


class Report(AnalyticsDocument):
    text = FileField()


class Elsewhere(BusinessDocument):
    file = FileField(db_alias="archive", collection_name="attachments")


class Attachment(EmbeddedDocument):
    name = StringField()
    file = FileField()


class Note(AnalyticsDocument):
    first = EmbeddedDocumentField(Attachment)
    attachments = ListField(EmbeddedDocumentField(Attachment))


class OwnProxy(GridFSProxy):
    def text(self) -> str:
        return str(self.read().decode())


class OwnFileField(FileField):
    proxy_class = OwnProxy


class Own(AnalyticsDocument):
    file = OwnFileField()


class Mention(BusinessDocument):
    letter = ReferenceField(Letter, reverse_delete_rule=DENY)


MODELS = (Letter, Report, Elsewhere, Attachment, Note, Own, Mention)


@pytest.fixture(autouse=True)
def databases(shared: Settings) -> Iterator[None]:
    with model_registry(*MODELS):
        emptied(shared)
        yield
        db.router(None)
        if not db.database.is_connected:
            db.connect_all(shared)


def files_in(alias: str, collection: str = "fs") -> int:
    return registry.connection(alias).database[f"{collection}.files"].count_documents({})


def chunks_in(alias: str) -> int:
    return registry.connection(alias).database["fs.chunks"].count_documents({})


def letter(contents: bytes = b"old", **values: Any) -> Letter:
    found = Letter(title="a letter", **values)
    found.scan.put(contents, filename="scan.txt")
    return found.save()


class Change(Exception):
    """Raised to roll a transaction back."""


def rolled_back(*aliases: str, change: Callable[[], object]) -> None:
    with suppress(Change), db.transaction(*aliases):
        change()
        raise Change


# Where they are


def test_a_file_lies_in_the_database_of_its_model() -> None:
    report = Report()
    report.text.put(b"figures")
    report.save()
    assert Report.objects.get().text.read() == b"figures"
    assert (files_in("default"), files_in("database1")) == (0, 1)


def test_inside_using_files_go_to_the_other_alias() -> None:
    letter(b"here")
    with db.using(default="archive"):
        letter(b"there")
        assert Letter.objects.get().scan.read() == b"there"
    assert Letter.objects.get().scan.read() == b"here"
    assert (files_in("default"), files_in("archive")) == (1, 1)


def test_a_document_that_was_read_inside_a_block_finds_its_file_after_it() -> None:
    with db.using(default="archive"):
        letter(b"there")
        found = Letter.objects.get()
    assert found.scan.read() == b"there"


def test_a_file_of_an_embedded_document_is_found_where_it_was_first_seen() -> None:
    with db.using(database1="archive"):
        Note(first=Attachment(file=b"there")).save()
        note = Note.objects.get()
        found = note.first.file
    assert found.read() == b"there"


def test_a_router_says_where_files_go() -> None:
    db.router(lambda model: "archive" if model is Letter else None)
    letter(b"there")
    assert Letter.objects.get().scan.read() == b"there"
    assert files_in("archive") == 1


def test_a_field_with_an_alias_of_its_own_keeps_it_unless_that_is_sent_elsewhere() -> None:
    one = Elsewhere()
    one.file.put(b"one")
    one.save()
    assert (files_in("default", "attachments"), files_in("archive", "attachments")) == (0, 1)
    with db.using(archive="database1"):
        two = Elsewhere()
        two.file.put(b"two")
    assert files_in("database1", "attachments") == 1


def test_files_of_embedded_documents_go_with_the_document() -> None:
    note = Note(first=Attachment())
    note.first.file.put(b"first")
    note.attachments.append(Attachment())
    note.attachments[0].file.put(b"in a list")
    note.save()
    found = Note.objects.get()
    assert found.first.file.read() == b"first"
    assert found.attachments[0].file.read() == b"in a list"
    assert (files_in("default"), files_in("database1")) == (0, 2)


def test_an_embedded_document_without_a_document_goes_where_the_models_with_it_go() -> None:
    attachment = Attachment()
    attachment.file.put(b"early")
    Note(attachments=[attachment]).save()
    assert Note.objects.get().attachments[0].file.read() == b"early"
    assert files_in("database1") == 1


def test_one_that_models_of_several_databases_have_needs_a_document_first() -> None:
    fields = {"attachment": EmbeddedDocumentField(Attachment)}
    Folder = define_model(BusinessDocument, "Folder", fields)
    with pytest.raises(ConfigurationError, match="part of a document first"):
        Attachment().file.put(b"where?")
    folder = Folder(attachment=Attachment())
    folder.attachment.file.put(b"here")
    folder.save()
    assert files_in("default") == 1
    Folder.objects.get().switch_db("archive").save()
    assert files_in("archive") == 1


def test_files_in_lists_are_files_of_the_document() -> None:
    written = Letter()
    for contents in (b"one", b"two"):
        page = Letter.pages.field.get_proxy_obj("pages", written)
        page.put(contents)
        written.pages.append(page)
    written.save()
    found = Letter.objects.get()
    assert [page.read() for page in found.pages] == [b"one", b"two"]
    found.pages[0].replace(b"first")
    found.save()
    assert [page.read() for page in Letter.objects.get().pages] == [b"first", b"two"]


def test_a_field_class_of_the_application_keeps_what_it_adds() -> None:
    own = Own()
    own.file.put(b"text")
    own.save()
    assert Own.objects.get().file.text() == "text"
    assert files_in("database1") == 1


def test_a_models_subclasses_have_files_where_they_live() -> None:
    class Base(BusinessDocument):
        file = FileField()
        meta = {"abstract": True}

    class Far(Base):
        meta = {"db_alias": "archive"}

    for model in (define_model(Base, "Near", {}), Far):
        document = model()
        document.file.put(b"x")
        document.save()
    assert (files_in("default"), files_in("archive")) == (1, 1)


def test_the_class_of_an_embedded_document_may_be_any_that_a_field_takes() -> None:
    class Paper(EmbeddedDocument):
        meta = {"allow_inheritance": True}

    class Scan(Paper):
        file = FileField()

    Binder = define_model(
        AnalyticsDocument, "Binder", {"papers": ListField(EmbeddedDocumentField(Paper))}
    )
    early = Scan(file=b"early")
    binder = Binder()
    binder.papers.append(early)
    binder.save()
    assert Binder.objects.get().papers[0].file.read() == b"early"
    assert files_in("database1") == 1


# Copies


def test_switch_db_copies_the_files_with_the_document() -> None:
    original = letter(b"kept", pages=[])
    with db.using(default="archive"):
        assert Letter.objects.count() == 0
    original.switch_db("archive").save()
    with db.using(default="archive"):
        copied = Letter.objects.get()
        assert (copied.scan.read(), copied.scan.filename) == (b"kept", "scan.txt")
        copied.delete()
    assert files_in("archive") == 0
    assert Letter.objects.get().scan.read() == b"kept"


def test_files_of_embedded_documents_are_copied_too() -> None:
    Note(first=Attachment(file=b"first"), attachments=[Attachment(file=b"in a list")]).save()
    Note.objects.get().switch_db("archive").save()
    Note.objects.get().delete()
    registry.connection("database1").database["fs.files"].delete_many({})
    with db.using(database1="archive"):
        found = Note.objects.get()
        assert found.first.file.read() == b"first"
        assert found.attachments[0].file.read() == b"in a list"


def test_replacing_the_file_of_a_copy_leaves_the_originals() -> None:
    original = letter(b"kept").switch_db("archive")
    original.scan.replace(b"new")
    original.save()
    assert Letter.objects.get().scan.read() == b"kept"
    with db.using(default="archive"):
        assert Letter.objects.get().scan.read() == b"new"


def test_mongoengines_own_proxy_is_taken_over_with_its_file() -> None:
    proxy = GridFSProxy()
    proxy.put(b"made by hand")
    with db.using(default="archive"):
        Letter(scan=proxy, pages=[proxy]).save()
        found = Letter.objects.get()
        assert (found.scan.read(), found.pages[0].read()) == (b"made by hand", b"made by hand")
    assert files_in("archive") == 1


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_copies_are_equal_and_find_the_file(copied: Callable[[Any], Any]) -> None:
    with db.using(default="archive"):
        scan = letter(b"x").scan
        own = copied(scan)
    assert own == scan
    assert own.read() == b"x"
    assert own != letter(b"y").scan


def test_a_copied_document_has_the_file_too() -> None:
    letter(b"x")
    found = Letter.objects.get()
    for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert copied.scan.read() == b"x"


# What can be done with them


def test_a_file_is_read_in_pieces() -> None:
    letter(b"abcdef")
    scan = Letter.objects.get().scan
    assert (scan.read(2), scan.tell(), scan.read()) == (b"ab", 2, b"cdef")
    scan.seek(1)
    assert scan.read(1) == b"b"


def test_a_file_is_written_in_pieces() -> None:
    written = Letter()
    written.scan.new_file(filename="long")
    for piece in (b"ab", b"cd"):
        written.scan.write(piece)
    written.scan.close()
    written.save()
    assert Letter.objects.get().scan.read() == b"abcd"


def test_assigning_bytes_or_a_file_replaces_it() -> None:
    written = Letter(scan=b"one").save()
    written.scan = io.BytesIO(b"two")
    written.save()
    assert Letter.objects.get().scan.read() == b"two"
    assert files_in("default") == 1


def test_a_document_without_a_file_reads_none() -> None:
    Letter().save()
    found = Letter.objects.get()
    found.scan.delete()
    assert (bool(found.scan), found.scan.read(), found.scan.get()) == (False, None, None)


def test_an_id_that_is_assigned_stands_for_its_file() -> None:
    letter(b"one")
    other = Letter(title="other", scan=Letter.objects.get().scan.grid_id).save()
    assert Letter.objects.get(id=other.id).scan.read() == b"one"


def test_filters_and_updates_take_files() -> None:
    scan = letter(b"one").scan
    other = Letter(title="other").save()
    Letter.objects(id=other.id).update(set__scan=scan)
    assert Letter.objects.get(id=other.id).scan.read() == b"one"
    assert Letter.objects(scan=scan).count() == 2


def test_a_second_put_is_refused() -> None:
    with pytest.raises(GridFSError):
        letter().scan.put(b"another")


class _Breaking:
    """A file that can't be read to its end."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, size: int) -> bytes:
        self.reads += 1
        if self.reads > 150:  # more than the driver keeps back
            raise OSError("gone")
        return b"x" * size


def test_a_replacement_that_fails_leaves_the_file_and_nothing_else() -> None:
    written = letter(b"old")
    with pytest.raises(OSError, match="gone"):
        written.scan.replace(_Breaking())
    assert written.scan.read() == b"old"
    assert chunks_in("default") == 1


def test_a_document_that_may_not_be_deleted_keeps_its_file() -> None:
    written = letter(b"needed")
    Mention(letter=written).save()
    with pytest.raises(OperationError):
        written.delete()
    assert Letter.objects.get().scan.read() == b"needed"


def test_deleting_a_document_deletes_its_file() -> None:
    letter().delete()
    assert (files_in("default"), chunks_in("default")) == (0, 0)


@pytest.mark.parametrize(
    "operation",
    [
        lambda document: document.scan.read(),
        lambda document: document.scan.replace(b"new"),
        lambda document: document.scan.delete(),
        lambda document: Letter().scan.put(b"new"),
        lambda document: Letter(scan=b"new"),
    ],
)
def test_without_a_connection_every_operation_says_so(
    operation: Callable[[Letter], object],
) -> None:
    written = letter()
    found = Letter.objects.get(id=written.id)
    db.database.disconnect()
    with pytest.raises(NotConnectedError):
        operation(found)


# Transactions


def test_the_first_file_of_a_database_can_be_put_in_a_transaction() -> None:
    with db.transaction():
        letter(b"first")
    assert Letter.objects.get().scan.read() == b"first"


def test_the_first_file_can_follow_other_writes_in_it() -> None:
    Paper = define_model(BusinessDocument, "Paper", {"file": FileField(collection_name="papers")})
    with db.transaction():
        Mention().save()
        Paper(file=b"x").save()
    assert files_in("default", "papers") == 1


def test_files_of_subclasses_can_follow_other_writes_too() -> None:
    class Document(BusinessDocument):
        meta = {"allow_inheritance": True}

    class Signed(Document):
        signature = FileField(collection_name="signatures")

    with db.transaction():
        Mention().save()
        Signed(signature=b"x").save()
    assert files_in("default", "signatures") == 1


def test_a_large_file_is_part_of_the_transaction() -> None:
    contents = bytes(range(256)) * 4 * 1024
    rolled_back(change=lambda: letter(contents))
    assert (files_in("default"), chunks_in("default")) == (0, 0)
    with db.transaction():
        letter(contents)
    assert Letter.objects.get().scan.read() == contents


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.scan.delete(),
        lambda document: document.scan.replace(b"new"),
        lambda document: setattr(document, "scan", b"new"),
        lambda document: setattr(document, "scan", None),
        lambda document: document.delete(),
    ],
    ids=["delete", "replace", "assign", "assign None", "delete the document"],
)
def test_a_rollback_brings_the_file_back(change: Callable[[Letter], object]) -> None:
    written = letter(b"old")

    def change_and_save() -> None:
        change(written)
        if Letter.objects(id=written.id):  # a deleted one isn't saved again
            written.save()

    rolled_back(change=change_and_save)
    assert written.scan.read() == b"old"
    written.title = "changed"
    written.save()
    found = Letter.objects.get()
    assert (found.title, found.scan.read()) == ("changed", b"old")


def test_a_file_that_was_put_is_gone_after_a_rollback() -> None:
    written = Letter(title="new")
    rolled_back(change=lambda: (written.scan.put(b"x"), written.save()))
    assert (written.scan.grid_id, written.scan.read()) == (None, None)
    written.save()
    assert Letter.objects.get().scan.grid_id is None
    written.scan.put(b"y")
    written.save()
    assert Letter.objects.get().scan.read() == b"y"


def test_a_rollback_brings_files_of_embedded_documents_back() -> None:
    note = Note(attachments=[Attachment(file=b"old"), Attachment()]).save()

    def change() -> None:
        note.attachments[0].file.replace(b"new")
        note.attachments[1].file.put(b"added")
        note.save()

    rolled_back("database1", change=change)
    note.save()
    for seen in (note, Note.objects.get()):
        assert [each.file.read() for each in seen.attachments] == [b"old", None]


def test_files_of_a_database_that_a_transaction_does_not_cover_stay() -> None:
    report = Report()
    report.text.put(b"old")
    rolled_back("default", change=lambda: report.text.replace(b"new"))
    assert report.text.read() == b"new"


def test_a_file_is_read_on_after_the_transaction() -> None:
    contents = bytes(range(256)) * 4 * 1024
    letter(contents)
    scan = Letter.objects.get().scan
    with db.transaction():
        begun = scan.read(300_000)
    assert begun + scan.read() == contents


def test_a_file_that_was_begun_in_a_transaction_can_not_be_ended_outside() -> None:
    written = Letter()
    with db.transaction():
        written.scan.new_file()
        written.scan.write(b"x")
    with pytest.raises(TransactionError, match="begun in a transaction"):
        written.scan.close()


def test_each_attempt_of_a_transaction_meets_the_file_as_it_was() -> None:
    written, met = letter(b"old"), []

    @db.transactional
    def replace(document: Letter) -> None:
        met.append(document.scan.read())
        document.scan.replace(b"new")
        document.save()
        if len(met) == 1:
            raise UnavailableError("met another transaction", alias="default")

    replace(written)
    assert met == [b"old", b"old"]
    assert (Letter.objects.get().scan.read(), files_in("default")) == (b"new", 1)


# Images


def test_images_and_their_thumbnails_go_with_the_document() -> None:
    images = pytest.importorskip("PIL.Image")

    class Picture(AnalyticsDocument):
        image = ImageField(size=(50, 50, True), thumbnail_size=(10, 10, True))

    def png(colour: str) -> io.BytesIO:
        stored = io.BytesIO()
        images.new("RGB", (100, 80), colour).save(stored, "PNG")
        stored.seek(0)
        return stored

    def stored(alias: str) -> int:
        return files_in(alias, "images")

    picture = Picture()
    picture.image.put(png("red"))
    picture.save()
    found = Picture.objects.get()
    assert (found.image.size, found.image.format) == ((50, 50), "PNG")
    assert found.image.thumbnail.width == 10
    found.image.replace(png("blue"))
    with pytest.raises(ValidationError):
        found.image.replace(io.BytesIO(b"no image"))
    found.save()
    assert (stored("default"), stored("database1")) == (0, 2)
    rolled_back("database1", change=found.image.delete)
    assert Picture.objects.get().image.size == (50, 50)
    found.switch_db("archive").save()
    assert stored("archive") == 2
    Picture.objects.get().delete()
    assert (stored("database1"), stored("archive")) == (0, 2)
