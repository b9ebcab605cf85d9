"""A MongoDB URI: read without asking any server, checked by the driver's rules, and shown without
its secrets.

- `uri`: its parts, and what is wrong with it. `hosts`: its hosts, and which are this machine.
- `options`: which options there are. `rules`: which contradict each other, and which mean TLS.
- `secret_uri`: a URI that is shown without its secrets.
"""

from datalayer.settings.uri.uri import Kind, ParsedUri, parse, redact, with_database

__all__ = ["Kind", "ParsedUri", "parse", "redact", "with_database"]
