"""Integrations with web frameworks (``flask``, ``django``, ``wsgi``), servers of worker processes
(``gunicorn``, ``uwsgi``, ``celery``) and monitoring systems (``prometheus``, ``opentelemetry``).

``connecting`` is how the frameworks connect, ``workers`` how worker processes do. What is
answered over HTTP is in ``datalayer.web``. Each integration imports what it is for, so nothing is
imported here.
"""
