"""A plugin of pytest for the lane: servers under Wine take longer to come up, on a busy machine
longer than a set of three has by default."""

from __future__ import annotations

import inspect

from datalayer.embedded import EmbeddedMongo

START_SECONDS = 120.0

defaults = inspect.unwrap(EmbeddedMongo.__init__).__kwdefaults__
defaults["timeout"] = max(START_SECONDS, defaults["timeout"])
