"""Writes pairs in transactions over two databases until it is killed.

`writing_pairs.py DEFAULT_URI DATABASE1_URI`
"""

import sys
from itertools import count

from mongoengine import IntField

from datalayer import AnalyticsDocument, BusinessDocument, Settings, db


class Left(BusinessDocument):
    number = IntField()


class Right(AnalyticsDocument):
    number = IntField()


db.connect_all(Settings(databases={"default": sys.argv[1], "database1": sys.argv[2]}))
print("ready", flush=True)
for number in count():
    with db.transaction("default", "database1"):
        Left(number=number).save()
        Right(number=number).save()
    if number == 0:
        print("written", flush=True)
