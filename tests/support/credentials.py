"""The user of the servers with access control."""

from __future__ import annotations

APP_USER = ("app", "p@ss/w:rd %&?#[]")
"""User name and password; the password holds every character that a URI has to escape."""
