"""Documents with versions, which ``meta`` gives a field."""

from datalayer.documents import BusinessDocument
from datalayer.fields import IntField


class Account(BusinessDocument):
    balance = IntField(default=0)

    meta = {"versioned": True}


class Savings(Account):
    interest = IntField(default=0)


def withdraw(account: Account) -> None:
    account.balance -= 3


reveal_type(Account().version)  # is: int | None
reveal_type(Savings().version)  # is: int | None
reveal_type(Account.change("x", withdraw))  # is: Account
Account.objects(version=3, version__gt=1).order_by("-version")
Account.objects(version="3")  # error: incompatible type "str"; expected "int | None"
Account.objects(versoin=3)  # error: has no field "versoin"; did you mean "version"?
