"""Django's command line. Warnings are errors, here as in the tests."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("error")
# Python 3.12 and later warn of every fork in a process with threads.
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")

from django.core.management import execute_from_command_line  # noqa: E402 - after the path

if __name__ == "__main__":
    if method := os.environ.get("SITE_START_METHOD"):
        multiprocessing.set_start_method(method)
    execute_from_command_line(sys.argv)
