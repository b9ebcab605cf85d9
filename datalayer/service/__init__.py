"""The life of one database's connection: connecting, being asked how it is, and closing.

``service`` is what ``db.database`` gives; ``connecting`` goes from settings to a verified
connection; ``status`` puts together what is told of it; ``events`` calls those who listen.
"""
