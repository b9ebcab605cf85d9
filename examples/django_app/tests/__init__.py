"""Tests, run by ``python manage.py test``."""
