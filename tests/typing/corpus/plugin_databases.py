"""Several databases."""

from typing import Any

from datalayer import Settings, db
from datalayer.documents import AnalyticsDocument, BusinessDocument, Document
from datalayer.fields import StringField


class Customer(BusinessDocument):
    region = StringField()


class Visit(AnalyticsDocument):
    path = StringField(required=True)


class Report(Document):
    title = StringField()
    meta = {"db_alias": "reports"}


@db.router
def by_region(model: type[Any]) -> str | None:
    return "europe" if model is Customer else None


reveal_type(db.connect_all(Settings.from_env()))  # is: dict[str, Any]
reveal_type(db.status())  # is: dict[str, Any]
reveal_type(db.database.client)  # is: MongoClient[Any]
reveal_type(db.database1.is_connected)  # is: bool
reveal_type(db.get("reports").ping())  # is: float
reveal_type(Customer.objects.using("europe").first())  # is: Customer | None
with db.using({"default": "europe"}):
    Customer(region="eu").save()
with db.read_from("secondary"):
    reveal_type(Visit.objects(path="/").count())  # is: int
Customer.objects.using(3)  # error: incompatible type "int"; expected "str | tuple[str, str]"
Report.objects.using("reports").filter(titel="x")  # error: has no field "titel"
db.get(3)  # error: incompatible type "int"; expected "str"
