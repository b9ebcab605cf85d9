"""A configuration of gunicorn that patches before anything else is imported."""

from gevent import monkey

monkey.patch_all()

from datalayer.contrib.gunicorn import post_worker_init, worker_exit  # noqa: E402

__all__ = ["post_worker_init", "worker_exit"]
