"""Documents for another database, after the commit."""

from datalayer import db
from datalayer.documents import AnalyticsDocument, BusinessDocument
from datalayer.fields import IntField, StringField


class Purse(BusinessDocument):
    owner = StringField(required=True)
    amount = IntField(default=0)


class Spent(AnalyticsDocument):
    owner = StringField(required=True)


@db.transactional
def spend(purse: Purse, amount: int) -> Purse:
    purse.amount -= amount
    db.outbox.add(Spent(owner=purse.owner), key=purse.owner)
    return purse.save()


reveal_type(spend(Purse(owner="Ada"), 3))  # is: Purse
reveal_type(db.outbox.deliver().delivered)  # is: int
db.outbox.add({"owner": "Ada"})  # error: incompatible type "dict[str, str]"; expected "Document"
db.outbox.add(Spent(ownr="Ada"))  # error: has no field "ownr"; did you mean "owner"?
