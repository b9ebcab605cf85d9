"""Classes that import from ``mongoengine``: nothing is known of their fields, and nothing is
found wrong."""

import mongoengine
from mongoengine import Document, IntField, StringField

from datalayer.documents import BusinessDocument, accelerate


class Old(Document):  # error: Class cannot subclass "Document" (has type "Any")
    name = StringField(required=True)
    age = IntField()

    meta = {"strict": False}


class Half(BusinessDocument):
    name = mongoengine.StringField(required=True)
    age = IntField()


accelerate()
Old(name="x", anything=1).save()
Old.objects(name="x", anything=1).first()
Half(name="x", age=3).save()
Half.objects(name="x", age__gte=3, name__first=1).order_by("-age", "name").first()
half = Half.objects.get(name="x")
half.age = 3
print(half.name)
