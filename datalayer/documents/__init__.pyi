"""Base classes for documents and what goes with them, with types."""

from datalayer.documents._conditions import Q as Q
from datalayer.documents._document import (
    AnalyticsDocument as AnalyticsDocument,
)
from datalayer.documents._document import (
    BusinessDocument as BusinessDocument,
)
from datalayer.documents._document import (
    Document as Document,
)
from datalayer.documents._document import (
    DynamicAnalyticsDocument as DynamicAnalyticsDocument,
)
from datalayer.documents._document import (
    DynamicBusinessDocument as DynamicBusinessDocument,
)
from datalayer.documents._document import (
    DynamicDocument as DynamicDocument,
)
from datalayer.documents._document import (
    DynamicEmbeddedDocument as DynamicEmbeddedDocument,
)
from datalayer.documents._document import (
    EmbeddedDocument as EmbeddedDocument,
)
from datalayer.documents._document import (
    define_model as define_model,
)
from datalayer.documents._errors import (
    BulkWriteError as BulkWriteError,
)
from datalayer.documents._errors import (
    DoesNotExist as DoesNotExist,
)
from datalayer.documents._errors import (
    FieldDoesNotExist as FieldDoesNotExist,
)
from datalayer.documents._errors import (
    InvalidQueryError as InvalidQueryError,
)
from datalayer.documents._errors import (
    MultipleObjectsReturned as MultipleObjectsReturned,
)
from datalayer.documents._errors import (
    NotUniqueError as NotUniqueError,
)
from datalayer.documents._errors import (
    OperationError as OperationError,
)
from datalayer.documents._errors import (
    SaveConditionError as SaveConditionError,
)
from datalayer.documents._errors import (
    ValidationError as ValidationError,
)
from datalayer.documents._queryset import (
    QuerySet as QuerySet,
)
from datalayer.documents._queryset import (
    queryset_manager as queryset_manager,
)
from datalayer.documents.engine import accelerate as accelerate
from datalayer.documents.engine import invalidate as invalidate
from datalayer.documents.extended_json import without_secrets as without_secrets
from datalayer.documents.fields.money import (
    exact_amount as exact_amount,
)
from datalayer.documents.fields.money import (
    minor_units as minor_units,
)
from datalayer.documents.lifecycle import (
    Lifecycle as Lifecycle,
)
from datalayer.documents.lifecycle import (
    TransitionError as TransitionError,
)
from datalayer.documents.times import utc_now as utc_now
from datalayer.failures.redaction import (
    traceback_without_contents as traceback_without_contents,
)
from datalayer.fields import (
    CurrencyField as CurrencyField,
)
from datalayer.fields import (
    MoneyField as MoneyField,
)
from datalayer.fields import (
    NormalizedEmailField as NormalizedEmailField,
)
from datalayer.fields import (
    RawDictField as RawDictField,
)
from datalayer.fields import (
    SecretField as SecretField,
)
from datalayer.fields import (
    UTCDateTimeField as UTCDateTimeField,
)
from datalayer.monitoring.tracing import log_fields as log_fields
from datalayer.settings import redact as redact
