"""Events."""

from datalayer import db, recorder
from datalayer.documents import AnalyticsDocument
from datalayer.fields import StringField
from datalayer.models import Metric


class Viewed(AnalyticsDocument):
    path = StringField(required=True)


recorder.record(Viewed(path="/"))
recorder.record({"path": "/"}, Viewed)
db.recorder.record(Viewed(path="/"))
visits = recorder.counter("visits", Metric, page="home")
visits.inc(1)
reveal_type(recorder.flush(timeout=5))  # is: bool
recorder.record({"path": "/"})  # error: No overload variant matches argument type "dict[str, str]"
recorder.record("/", Viewed)  # error: No overload variant
recorder.record(Viewed)  # error: No overload variant matches argument type "type[Viewed]"
recorder.record(Viewed(paht="/"))  # error: has no field "paht"; did you mean "path"?
