"""Has Celery's workers do their task a number of times; prints the reports as JSON.

celery_calls.py TIMES
"""

from __future__ import annotations

import json
import sys

from celery_messages import app

ANSWER_SECONDS = 60.0


def main(times: int) -> None:
    results = [app.send_task("work") for _ in range(times)]
    print(json.dumps([result.get(ANSWER_SECONDS, interval=0.02) for result in results]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
