"""A configuration of gunicorn that patches before anything else is imported."""
# ruff: noqa: E402

from gevent import monkey

monkey.patch_all()

from datalayer.contrib.gunicorn import post_worker_init, worker_exit

preload_app = True
worker_class = "gevent"

__all__ = ["post_worker_init", "worker_exit"]
