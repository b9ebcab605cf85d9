"""The server's error codes, by the server's names (its ``error_codes.yml``), and what each kind of
them means for the caller. The driver's classes don't tell that: a server that is slow, that shuts
down and that refuses a password may all raise ``OperationFailure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, auto

from pymongo.errors import BulkWriteError, NotPrimaryError, OperationFailure


class Category(Enum):
    """What a code means for the caller."""

    AUTHENTICATION = auto()
    """The server does not accept who one says to be."""
    UNSUITABLE = auto()
    """This server does not offer what the client's options ask for."""
    NETWORK = auto()
    """The server that answers, a router say, can't reach another one."""
    NOT_PRIMARY = auto()
    """The server is not, or no more, or not yet, the primary."""
    SHUTTING_DOWN = auto()
    TIME_LIMIT = auto()
    """The server did not come to an end in time."""
    OVERLOADED = auto()
    INTERRUPTED = auto()
    IN_BETWEEN = auto()
    """Something else is going on that comes to an end."""
    DUPLICATE_KEY = auto()
    INDEX_EXISTS = auto()
    """An index of that name or on those fields is there, with other options."""


class ServerCode(IntEnum):
    """The codes that datalayer knows, each with its category, if it has one."""

    category: Category | None

    def __new__(cls, code: int, category: Category | None = None) -> ServerCode:
        """A number that knows its category."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.category = category
        return member

    BadValue = 2, Category.UNSUITABLE
    HostUnreachable = 6, Category.NETWORK
    HostNotFound = 7, Category.NETWORK
    FailedToParse = 9, Category.UNSUITABLE
    UserNotFound = 11, Category.AUTHENTICATION
    UnsupportedFormat = 12, Category.UNSUITABLE
    Unauthorized = 13
    TypeMismatch = 14, Category.UNSUITABLE
    Overflow = 15
    ProtocolError = 17, Category.UNSUITABLE
    AuthenticationFailed = 18, Category.AUTHENTICATION
    IllegalOperation = 20, Category.UNSUITABLE
    InvalidBSON = 22
    LockTimeout = 24, Category.TIME_LIMIT
    NamespaceNotFound = 26
    IndexNotFound = 27
    CursorNotFound = 43
    UserDataInconsistent = 45, Category.UNSUITABLE
    LockBusy = 46, Category.OVERLOADED
    NamespaceExists = 48
    MaxTimeMSExpired = 50, Category.TIME_LIMIT
    CommandNotFound = 59, Category.UNSUITABLE
    CannotCreateIndex = 67
    AuthSchemaIncompatible = 69, Category.UNSUITABLE
    InvalidOptions = 72, Category.UNSUITABLE
    InvalidNamespace = 73, Category.UNSUITABLE
    IndexOptionsConflict = 85, Category.INDEX_EXISTS
    IndexKeySpecsConflict = 86, Category.INDEX_EXISTS
    NetworkTimeout = 89, Category.NETWORK
    ShutdownInProgress = 91, Category.SHUTTING_DOWN
    NotYetInitialized = 94, Category.NOT_PRIMARY
    OutdatedClient = 101, Category.UNSUITABLE
    WriteConflict = 112, Category.IN_BETWEEN
    CommandNotSupported = 115, Category.UNSUITABLE
    ConflictingOperationInProgress = 117, Category.IN_BETWEEN
    DocumentValidationFailure = 121
    FailedToSatisfyReadPreference = 133, Category.NETWORK
    ReadConcernMajorityNotAvailableYet = 134, Category.IN_BETWEEN
    PooledConnectionsDropped = 145, Category.NETWORK
    CommandNotSupportedOnView = 166
    CannotIndexParallelArrays = 171
    ClientMetadataMissingField = 183, Category.UNSUITABLE
    ClientMetadataAppNameTooLarge = 184, Category.UNSUITABLE
    ClientMetadataDocumentTooLarge = 185, Category.UNSUITABLE
    ClientMetadataCannotBeMutated = 186, Category.UNSUITABLE
    IncompatibleServerVersion = 188, Category.UNSUITABLE
    PrimarySteppedDown = 189, Category.NOT_PRIMARY
    InvalidIndexSpecificationOption = 197
    ReplicaSetMonitorRemoved = 199, Category.NETWORK
    NetworkInterfaceExceededTimeLimit = 202, Category.TIME_LIMIT
    KeyNotFound = (
        211,
        Category.IN_BETWEEN,
    )  # the keys that sign the cluster's time are not there yet
    AuthenticationRestrictionUnmet = 214, Category.AUTHENTICATION
    ElectionInProgress = 216, Category.NOT_PRIMARY
    CursorKilled = 237, Category.INTERRUPTED
    SnapshotTooOld = 239
    SnapshotUnavailable = 246
    NoSuchTransaction = 251
    TooManyLogicalSessions = 261, Category.OVERLOADED
    ExceededTimeLimit = 262, Category.TIME_LIMIT
    OperationNotSupportedInTransaction = 263
    TooManyFilesOpen = 264, Category.OVERLOADED
    IndexBuildAborted = 276
    UnsatisfiableCommitQuorum = 278
    ClientDisconnect = 279, Category.INTERRUPTED
    ChangeStreamFatalError = 280
    IndexBuildAlreadyInProgress = 285
    ChangeStreamHistoryLost = 286
    TransactionExceededLifetimeLimitSeconds = 290, Category.TIME_LIMIT
    SplitHorizonChange = 303, Category.IN_BETWEEN
    CurrentConfigNotCommittedYet = 308, Category.IN_BETWEEN
    ConnectionPoolExpired = 317, Category.NETWORK
    APIVersionError = 322, Category.UNSUITABLE
    APIStrictError = 323, Category.UNSUITABLE
    APIDeprecationError = 324, Category.UNSUITABLE
    MechanismUnavailable = 334, Category.UNSUITABLE
    ShardCannotRefreshDueToLocksHeld = 343, Category.IN_BETWEEN
    UnsupportedOpQueryCommand = 352, Category.UNSUITABLE
    LoadBalancerSupportMismatch = 354, Category.UNSUITABLE
    InterruptedDueToStorageChange = 355, Category.INTERRUPTED
    InternalTransactionNotSupported = 358, Category.IN_BETWEEN
    TemporarilyUnavailable = 365, Category.OVERLOADED
    UserWritesBlocked = 371, Category.IN_BETWEEN
    CloseConnectionForShutdownCommand = 372, Category.SHUTTING_DOWN
    ConnectionError = 384, Category.NETWORK
    ReauthenticationRequired = 391, Category.AUTHENTICATION
    StreamTerminated = 398, Category.IN_BETWEEN
    ResourceExhausted = 402, Category.OVERLOADED
    MigrationBlockingOperationCoordinatorCleaningUp = 406, Category.IN_BETWEEN
    PooledConnectionAcquisitionExceededTimeLimit = 407, Category.TIME_LIMIT
    UpdatesStillPending = 412, Category.IN_BETWEEN
    AdmissionQueueOverflow = 433, Category.OVERLOADED
    RateLimitExceeded = 449, Category.OVERLOADED
    PooledConnectionAcquisitionRejected = 450, Category.OVERLOADED
    InterruptedDueToReshardingCriticalSection = 453, Category.INTERRUPTED
    IngressRequestRateLimitExceeded = 462, Category.OVERLOADED
    AtlasError = 8000, Category.AUTHENTICATION
    """Not in the server's list: Atlas refuses credentials and actions with it."""
    SocketException = 9001, Category.NETWORK
    LegacyNotPrimary = 10058, Category.NOT_PRIMARY
    NotWritablePrimary = 10107, Category.NOT_PRIMARY
    BSONObjectTooLarge = 10334
    DuplicateKey = 11000, Category.DUPLICATE_KEY
    DuplicateKeyOnUpdate = 11001, Category.DUPLICATE_KEY
    """An older server's, for an update."""
    InterruptedAtShutdown = 11600, Category.SHUTTING_DOWN
    Interrupted = 11601, Category.INTERRUPTED
    InterruptedDueToReplStateChange = 11602, Category.NOT_PRIMARY
    DuplicateKeyOfCappedCollection = 12582, Category.DUPLICATE_KEY
    """An older server's."""
    BackgroundOperationInProgressForNamespace = 12587
    StaleConfig = 13388, Category.IN_BETWEEN
    NotPrimaryNoSecondaryOk = 13435, Category.NOT_PRIMARY
    NotPrimaryOrSecondary = 13436, Category.NOT_PRIMARY
    OutOfDiskSpace = 14031
    BackupCursorOpenConflictWithCheckpoint = 50915, Category.IN_BETWEEN
    ConfigServerUnreachable = 56846, Category.NETWORK
    RetriableRemoteCommandFailure = 91331, Category.IN_BETWEEN
    InterruptedDueToFCVChange = 10045600, Category.INTERRUPTED


def _of(*categories: Category) -> frozenset[ServerCode]:
    return frozenset(code for code in ServerCode if code.category in categories)


AUTHORISATION = frozenset({ServerCode.Unauthorized, ServerCode.AtlasError})
"""The user may not do that."""
CREDENTIALS = _of(Category.AUTHENTICATION) | AUTHORISATION
"""An operator has to change a password or a role. An operation may succeed afterwards."""
NETWORK = _of(Category.NETWORK)
NOT_PRIMARY = _of(Category.NOT_PRIMARY)
SHUTTING_DOWN = _of(Category.SHUTTING_DOWN)
TIME_LIMIT = _of(Category.TIME_LIMIT)
UNSUITABLE = _of(Category.UNSUITABLE)
PASSING = (
    NETWORK
    | NOT_PRIMARY
    | SHUTTING_DOWN
    | TIME_LIMIT
    | _of(Category.OVERLOADED, Category.INTERRUPTED, Category.IN_BETWEEN)
)
"""What passes by itself: the same may succeed later, with nobody having changed anything."""
DUPLICATE_KEY = _of(Category.DUPLICATE_KEY)
INDEX_EXISTS = _of(Category.INDEX_EXISTS)


def code_of(exc: BaseException | None) -> int | None:
    """The server's code behind ``exc``; for a bulk write, that of the first write that failed."""
    if isinstance(exc, BulkWriteError):
        failed = exc.details.get("writeErrors") or [{}]
        code: int | None = failed[0].get("code")
        return code
    if isinstance(exc, OperationFailure):
        return exc.code
    if isinstance(exc, NotPrimaryError) and isinstance(exc.details, Mapping):
        return exc.details.get("code")
    return None


def is_refusal(exc: BaseException) -> bool:
    """Whether ``exc`` is a server's no to a client, which waiting can't change.

    A code that isn't known here is none: asking again costs a moment, and giving up a server that
    would have come back costs it all. Without a code the driver itself has found out, in the
    middle of the authentication, that it goes wrong.
    """
    if not isinstance(exc, OperationFailure):
        return False
    return exc.code is None or exc.code in CREDENTIALS | UNSUITABLE
