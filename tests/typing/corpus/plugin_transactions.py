"""Decorators keep signatures; blocks say what they give."""

from datalayer import db
from datalayer.documents import BusinessDocument
from datalayer.fields import IntField


class Account(BusinessDocument):
    balance = IntField(default=0)


@db.transactional
def open_account(balance: int) -> Account:
    return Account(balance=balance).save()


@db.transactional(attempts=5)
def move(source: Account, target: Account, amount: int = 1) -> int:
    source.balance -= amount
    target.balance += amount
    source.save()
    target.save()
    db.on_commit(lambda: print("moved"))
    return amount


@db.retry(attempts=3, max_seconds=10)
def count(minimum: int) -> int:
    return Account.objects(balance__gte=minimum).count()


@db.retry
def total() -> int:
    return sum(account.balance for account in Account.objects)


@db.using({"default": "archive"})
def archived(minimum: int) -> list[Account]:
    return list(Account.objects(balance__gte=minimum))


reveal_type(open_account(3))  # is: Account
reveal_type(move(Account(), Account(), amount=3))  # is: int
reveal_type(count(3))  # is: int
reveal_type(total())  # is: int
reveal_type(archived(3))  # is: list[Account]
with db.transaction():
    Account().save()
with db.deadline(3), db.session():
    Account().save()
open_account("3")  # error: incompatible type "str"; expected "int"
move(Account(), 3)  # error: incompatible type "int"; expected "Account"
count(maximum=3)  # error: Unexpected keyword argument "maximum" for "count"
archived("x")  # error: incompatible type "str"; expected "int"
db.deadline("3")  # error: incompatible type "str"; expected "float"
