"""The life of one database's connection: connecting, being asked how it is, and closing.

``service`` is what ``db.database`` gives; ``connecting`` goes from settings to a verified
connection, ``connecting_log`` says meanwhile what it waits for, and ``verification`` asks the
server; ``status`` puts together what is told of a database; ``events`` calls those who listen.
"""
