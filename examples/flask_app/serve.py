"""Serves the flea market on this machine, with sample data:

    python examples/flask_app/serve.py

On a private server, which ends with it, unless MONGODB_URI names one.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
from contextlib import ExitStack

from flea_market import create_app, datalayer
from flea_market.sample import PASSWORD, PEOPLE, fill
from werkzeug.serving import run_simple

from datalayer import db, migrations
from datalayer.embedded import EmbeddedMongo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--toolbar", action="store_true", help="shows queries of pages")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends like Ctrl-C
    with ExitStack() as at_the_end:
        if "MONGODB_URI" not in os.environ:
            print("starting a private MongoDB server ...", flush=True)
            server = at_the_end.enter_context(EmbeddedMongo(journal=False))
            os.environ["MONGODB_URI"] = server.uri_for("flea_market")
        admin = PEOPLE[0].email
        config = {"SECRET_KEY": secrets.token_hex(), "ADMINS": [admin]}
        app = create_app({**config, "DEBUG_TB_ENABLED": given.toolbar})
        datalayer.connect_now(app)
        at_the_end.callback(db.disconnect_all)
        migrations.apply()  # in production: `flask datalayer migrations apply`, before the workers
        fill()
        print(f"sign in at http://127.0.0.1:{given.port}/sign-in as {admin} with: {PASSWORD}")
        print(f"how the databases are: http://127.0.0.1:{given.port}/status", flush=True)
        run_simple("127.0.0.1", given.port, app, threaded=True)


if __name__ == "__main__":
    main()
