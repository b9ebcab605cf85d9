"""Documents that lead to others."""

from bson import ObjectId

from datalayer.documents import Document
from datalayer.fields import (
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    ReferenceField,
    StringField,
)


class Author(Document):
    name = StringField(required=True)
    teacher = ReferenceField("self")


class Book(Document):
    author = ReferenceField(Author, required=True)
    editor = ReferenceField(Author)
    translator = LazyReferenceField(Author)
    others = ListField(ReferenceField(Author))
    about = GenericReferenceField()


def read(book: Book) -> None:
    reveal_type(book.author.name)  # is: str
    reveal_type(book.editor)  # is: Author | None
    reveal_type(book.translator)  # is: LazyReference[Author] | None
    reveal_type(book.others)  # is: list[Author]
    reveal_type(book.about)  # is: Document | None
    reveal_type(book.author.teacher)  # is: Any
    if book.translator is not None:
        reveal_type(book.translator.fetch())  # is: Author


def write(book: Book, author: Author) -> None:
    book.author = author
    book.editor = None
    book.others = [author]
    book.author = None  # error: expression has type "None"
    book.author = book  # error: expression has type "Book"
    book.others = [book]  # error: incompatible type "Book"; expected "Author"


def ask(author: Author) -> None:
    Book.objects(author=author, editor=None)
    Book.objects(author=author.id, editor__ne=author, others=author)
    Book.objects(author__in=[author], others__in=Author.objects(name="Ada"))
    Book.objects(author=ObjectId(), translator=author, about=author)
    Book.objects(author__name="Ada")  # error: refers to another collection
    Book.objects(author=3)  # error: incompatible type "int"
