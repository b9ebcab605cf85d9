"""MongoDB's ODM benchmark 1.0 for PyMongo, MongoEngine, datalayer, django-mongodb-backend and
Bunnet, with tasks of our own; see ``python -m benchmarks.odm --help``."""
