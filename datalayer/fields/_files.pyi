"""Fields of files and of numbers given in sequence."""

from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol, TypeAlias, overload

from typing_extensions import TypeVar

from datalayer.fields._field import Field

class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int = ..., /) -> bytes: ...

class Uploaded(Protocol):
    """Werkzeug's upload, whose ``read`` pyright doesn't see."""

    stream: IO[bytes]

Contents: TypeAlias = Readable | Uploaded | bytes | str

FileGet = TypeVar("FileGet", covariant=True, default=GridFSProxy)
FileSet = TypeVar("FileSet", contravariant=True, default=GridFSProxy | Contents | None)
NumberGet = TypeVar("NumberGet", covariant=True, default=int)
NumberSet = TypeVar("NumberSet", contravariant=True, default=int | None)
Decorated = TypeVar("Decorated")

class GridFSProxy:
    """A file of a document, in GridFS: empty where none was stored."""

    grid_id: Any
    db_alias: str
    collection_name: str
    filename: Any
    content_type: Any
    length: Any
    md5: Any
    metadata: Any
    upload_date: Any
    def __init__(
        self,
        grid_id: Any = None,
        key: str | None = None,
        instance: Any = None,
        db_alias: str = "default",
        collection_name: str = "fs",
    ) -> None: ...
    def __bool__(self) -> bool: ...
    @property
    def fs(self) -> Any: ...
    def get(self, grid_id: Any = None) -> Any: ...
    def new_file(self, **kwargs: Any) -> None: ...
    def put(self, file_obj: Contents, **kwargs: Any) -> None: ...
    def write(self, string: bytes) -> None: ...
    def writelines(self, lines: Iterable[bytes]) -> None: ...
    def read(self, size: int = -1) -> bytes | None: ...
    def delete(self) -> None: ...
    def replace(self, file_obj: Contents, **kwargs: Any) -> None: ...
    def close(self) -> None: ...
    def tell(self) -> int: ...
    def seek(self, pos: int, whence: int = 0) -> int: ...
    def __getattr__(self, name: str) -> Any: ...

class ImageGridFsProxy(GridFSProxy):
    """An image of a document, in GridFS."""

    @property
    def size(self) -> tuple[int, int] | None: ...
    @property
    def format(self) -> str | None: ...
    @property
    def thumbnail(self) -> Any: ...

class FileField(Field[FileGet, FileSet]):
    """A file in GridFS."""

    def __init__(
        self: FileField[GridFSProxy, GridFSProxy | Contents | None],
        db_alias: str = "default",
        collection_name: str = "fs",
        *,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...

class ImageField(FileField[FileGet, FileSet]):
    """An image in GridFS; needs Pillow."""

    def __init__(
        self: ImageField[ImageGridFsProxy, GridFSProxy | Contents | None],
        size: tuple[int, int, bool] | None = None,
        thumbnail_size: tuple[int, int, bool] | None = None,
        collection_name: str = "images",
        *,
        db_field: str | None = None,
        required: bool = False,
        **options: Any,
    ) -> None: ...

class SequenceField(Field[NumberGet, NumberSet]):
    """The next number of a sequence, taken from the database when it is first read or saved."""

    @overload
    def __init__(
        self: SequenceField[Decorated, Decorated | None],
        collection_name: str | None = None,
        db_alias: str | None = None,
        sequence_name: str | None = None,
        *,
        value_decorator: Callable[[int], Decorated],
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self: SequenceField[int, int | None],
        collection_name: str | None = None,
        db_alias: str | None = None,
        sequence_name: str | None = None,
        value_decorator: None = None,
        *,
        primary_key: bool = False,
        required: bool = False,
        **options: Any,
    ) -> None: ...
