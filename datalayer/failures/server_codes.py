"""The server's error codes, by the server's names (its ``error_codes.yml``), and what each kind of
them means for the caller. The driver's classes don't tell that: a server that is slow, that shuts
down and that refuses a password may all raise ``OperationFailure``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from pymongo.errors import BulkWriteError, NotPrimaryError, OperationFailure


class ServerCode(IntEnum):
    """The codes that datalayer knows."""

    BadValue = 2
    HostUnreachable = 6
    HostNotFound = 7
    FailedToParse = 9
    UserNotFound = 11
    UnsupportedFormat = 12
    Unauthorized = 13
    TypeMismatch = 14
    Overflow = 15
    ProtocolError = 17
    AuthenticationFailed = 18
    IllegalOperation = 20
    InvalidBSON = 22
    LockTimeout = 24
    NamespaceNotFound = 26
    CursorNotFound = 43
    UserDataInconsistent = 45
    LockBusy = 46
    NamespaceExists = 48
    MaxTimeMSExpired = 50
    CommandNotFound = 59
    CannotCreateIndex = 67
    AuthSchemaIncompatible = 69
    InvalidOptions = 72
    InvalidNamespace = 73
    IndexOptionsConflict = 85
    IndexKeySpecsConflict = 86
    NetworkTimeout = 89
    ShutdownInProgress = 91
    NotYetInitialized = 94
    OutdatedClient = 101
    WriteConflict = 112
    CommandNotSupported = 115
    ConflictingOperationInProgress = 117
    DocumentValidationFailure = 121
    FailedToSatisfyReadPreference = 133
    ReadConcernMajorityNotAvailableYet = 134
    PooledConnectionsDropped = 145
    CommandNotSupportedOnView = 166
    CannotIndexParallelArrays = 171
    ClientMetadataMissingField = 183
    ClientMetadataAppNameTooLarge = 184
    ClientMetadataDocumentTooLarge = 185
    ClientMetadataCannotBeMutated = 186
    IncompatibleServerVersion = 188
    PrimarySteppedDown = 189
    InvalidIndexSpecificationOption = 197
    ReplicaSetMonitorRemoved = 199
    NetworkInterfaceExceededTimeLimit = 202
    KeyNotFound = 211
    AuthenticationRestrictionUnmet = 214
    ElectionInProgress = 216
    CursorKilled = 237
    SnapshotTooOld = 239
    SnapshotUnavailable = 246
    NoSuchTransaction = 251
    TooManyLogicalSessions = 261
    ExceededTimeLimit = 262
    OperationNotSupportedInTransaction = 263
    TooManyFilesOpen = 264
    IndexBuildAborted = 276
    ClientDisconnect = 279
    ChangeStreamFatalError = 280
    IndexBuildAlreadyInProgress = 285
    ChangeStreamHistoryLost = 286
    TransactionExceededLifetimeLimitSeconds = 290
    SplitHorizonChange = 303
    CurrentConfigNotCommittedYet = 308
    ConnectionPoolExpired = 317
    APIVersionError = 322
    APIStrictError = 323
    APIDeprecationError = 324
    MechanismUnavailable = 334
    ShardCannotRefreshDueToLocksHeld = 343
    UnsupportedOpQueryCommand = 352
    LoadBalancerSupportMismatch = 354
    InterruptedDueToStorageChange = 355
    InternalTransactionNotSupported = 358
    TemporarilyUnavailable = 365
    UserWritesBlocked = 371
    CloseConnectionForShutdownCommand = 372
    ConnectionError = 384
    ReauthenticationRequired = 391
    StreamTerminated = 398
    ResourceExhausted = 402
    MigrationBlockingOperationCoordinatorCleaningUp = 406
    PooledConnectionAcquisitionExceededTimeLimit = 407
    UpdatesStillPending = 412
    AdmissionQueueOverflow = 433
    RateLimitExceeded = 449
    PooledConnectionAcquisitionRejected = 450
    InterruptedDueToReshardingCriticalSection = 453
    IngressRequestRateLimitExceeded = 462
    AtlasError = 8000
    """Not in the server's list: Atlas refuses credentials and actions with it."""
    SocketException = 9001
    LegacyNotPrimary = 10058
    NotWritablePrimary = 10107
    BSONObjectTooLarge = 10334
    DuplicateKey = 11000
    DuplicateKeyOnUpdate = 11001
    """An older server's, for an update."""
    InterruptedAtShutdown = 11600
    Interrupted = 11601
    InterruptedDueToReplStateChange = 11602
    DuplicateKeyOfCappedCollection = 12582
    """An older server's."""
    BackgroundOperationInProgressForNamespace = 12587
    StaleConfig = 13388
    NotPrimaryNoSecondaryOk = 13435
    NotPrimaryOrSecondary = 13436
    OutOfDiskSpace = 14031
    BackupCursorOpenConflictWithCheckpoint = 50915
    ConfigServerUnreachable = 56846
    RetriableRemoteCommandFailure = 91331
    InterruptedDueToFCVChange = 10045600


_C = ServerCode

AUTHENTICATION = frozenset(
    {
        _C.UserNotFound,
        _C.AuthenticationFailed,
        _C.AuthenticationRestrictionUnmet,
        _C.ReauthenticationRequired,
        _C.AtlasError,
    }
)
"""The server does not accept who one says to be."""

AUTHORISATION = frozenset({_C.Unauthorized, _C.AtlasError})
"""The user may not do that."""

CREDENTIALS = AUTHENTICATION | AUTHORISATION
"""An operator has to change a password or a role. An operation may succeed afterwards."""

UNSUITABLE = frozenset(
    {
        _C.BadValue,
        _C.FailedToParse,
        _C.UnsupportedFormat,
        _C.TypeMismatch,
        _C.ProtocolError,
        _C.IllegalOperation,
        _C.UserDataInconsistent,
        _C.CommandNotFound,
        _C.AuthSchemaIncompatible,
        _C.InvalidOptions,
        _C.InvalidNamespace,
        _C.OutdatedClient,
        _C.CommandNotSupported,
        _C.ClientMetadataMissingField,
        _C.ClientMetadataAppNameTooLarge,
        _C.ClientMetadataDocumentTooLarge,
        _C.ClientMetadataCannotBeMutated,
        _C.IncompatibleServerVersion,
        _C.APIVersionError,
        _C.APIStrictError,
        _C.APIDeprecationError,
        _C.MechanismUnavailable,
        _C.UnsupportedOpQueryCommand,
        _C.LoadBalancerSupportMismatch,
    }
)
"""This server does not offer what the client's options ask for."""

NETWORK = frozenset(
    {
        _C.HostUnreachable,
        _C.HostNotFound,
        _C.NetworkTimeout,
        _C.FailedToSatisfyReadPreference,
        _C.PooledConnectionsDropped,
        _C.ReplicaSetMonitorRemoved,
        _C.ConnectionPoolExpired,
        _C.ConnectionError,
        _C.SocketException,
        _C.ConfigServerUnreachable,
    }
)
"""The server that answers, a router say, can't reach another one."""

NOT_PRIMARY = frozenset(
    {
        _C.NotYetInitialized,
        _C.PrimarySteppedDown,
        _C.ElectionInProgress,
        _C.LegacyNotPrimary,
        _C.NotWritablePrimary,
        _C.InterruptedDueToReplStateChange,
        _C.NotPrimaryNoSecondaryOk,
        _C.NotPrimaryOrSecondary,
    }
)
"""The server is not, or no more, or not yet, the primary."""

SHUTTING_DOWN = frozenset(
    {
        _C.ShutdownInProgress,
        _C.CloseConnectionForShutdownCommand,
        _C.InterruptedAtShutdown,
    }
)

TIME_LIMIT = frozenset(
    {
        _C.LockTimeout,
        _C.MaxTimeMSExpired,
        _C.NetworkInterfaceExceededTimeLimit,
        _C.ExceededTimeLimit,
        _C.TransactionExceededLifetimeLimitSeconds,
        _C.PooledConnectionAcquisitionExceededTimeLimit,
    }
)
"""The server did not come to an end in time."""

_OVERLOADED = frozenset(
    {
        _C.LockBusy,
        _C.TooManyLogicalSessions,
        _C.TooManyFilesOpen,
        _C.TemporarilyUnavailable,
        _C.ResourceExhausted,
        _C.AdmissionQueueOverflow,
        _C.RateLimitExceeded,
        _C.PooledConnectionAcquisitionRejected,
        _C.IngressRequestRateLimitExceeded,
    }
)
_INTERRUPTED = frozenset(
    {
        _C.CursorKilled,
        _C.ClientDisconnect,
        _C.InterruptedDueToStorageChange,
        _C.InterruptedDueToReshardingCriticalSection,
        _C.Interrupted,
        _C.InterruptedDueToFCVChange,
    }
)
_IN_BETWEEN = frozenset(
    {
        _C.WriteConflict,
        _C.ConflictingOperationInProgress,
        _C.ReadConcernMajorityNotAvailableYet,
        _C.KeyNotFound,  # the keys that sign the cluster's time are not there yet
        _C.SplitHorizonChange,
        _C.CurrentConfigNotCommittedYet,
        _C.ShardCannotRefreshDueToLocksHeld,
        _C.InternalTransactionNotSupported,
        _C.UserWritesBlocked,
        _C.StreamTerminated,
        _C.MigrationBlockingOperationCoordinatorCleaningUp,
        _C.UpdatesStillPending,
        _C.StaleConfig,
        _C.BackupCursorOpenConflictWithCheckpoint,
        _C.RetriableRemoteCommandFailure,
    }
)

PASSING = (
    NETWORK | NOT_PRIMARY | SHUTTING_DOWN | TIME_LIMIT | _OVERLOADED | _INTERRUPTED | _IN_BETWEEN
)
"""What passes by itself: the same may succeed later, with nobody having changed anything."""

DUPLICATE_KEY = frozenset(
    {_C.DuplicateKey, _C.DuplicateKeyOnUpdate, _C.DuplicateKeyOfCappedCollection}
)

INDEX_EXISTS = frozenset({_C.IndexOptionsConflict, _C.IndexKeySpecsConflict})
"""An index of that name or on those fields is there, with other options."""


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
