"""A configuration of gunicorn with datalayer's hooks."""

from datalayer.contrib.gunicorn import post_worker_init, worker_exit

__all__ = ["post_worker_init", "worker_exit"]
