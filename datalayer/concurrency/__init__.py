"""How work runs side by side: threads, greenlets, and what a fork leaves of them.

``threads`` runs functions at the same time and lets callers share one run; ``flow`` tells which
thread, greenlet or task is running; ``forks`` tells a child from its parent; ``greenlets`` knows
gevent; ``uwsgi`` its options that matter to all of these.
"""
