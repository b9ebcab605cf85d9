"""``datalayer migrations new NAME --from-drift``: a file that is drafted from what differs."""

from __future__ import annotations

import argparse
from functools import partial

from datalayer import migrations
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.model_options import OWN_MODELS, connected_aliases, load_models
from datalayer.cli.options import settings_of
from datalayer.cli.output import Output
from datalayer.migrations.drift import draft, drift
from datalayer.schema import CheckProgress


def new_from_drift(output: Output, options: argparse.Namespace) -> ExitCode:
    """Compare documents and indexes with the models, and write what might be done about it."""
    settings = settings_of(options)
    if not options.models:
        output.message(f"taking the models of {OWN_MODELS}; name your own with --models")
    load_models(options.models or (OWN_MODELS,))

    def tell(progress: CheckProgress) -> None:
        if output.stderr.isatty():
            output.message(
                f"{progress.number} of {progress.total}: {progress.alias}.{progress.collection} "
                f"({progress.documents:,} documents)"
            )

    with connected_aliases(settings, options.alias, options.timeout) as chosen:
        found = drift(aliases=tuple(chosen), on_progress=tell)
    if found.is_empty:
        output.show({"path": None, "findings": 0}, [])
        output.message("documents and indexes are as the models say; no file was written")
        return ExitCode.OK
    path = migrations.new(
        options.name, package=settings.migrations, text=partial(draft, drift=found)
    )
    output.show({"path": str(path), "findings": len(found.findings)}, [])
    output.message(f"{path} is a draft: read it, and complete it")
    return ExitCode.OK
