"""How Sphinx builds the documentation. Nothing on its pages is fetched from another host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import is_dataclass

import datalayer
from datalayer.settings.variables import (
    DATABASE_VARIABLES,
    FOREIGN_VARIABLES,
    GLOBAL_VARIABLES,
    Variable,
    variables_in,
)

project = "datalayer"
author = "the datalayer authors"
version = release = datalayer.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"datalayer {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["diagrams.css"]

autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
napoleon_google_docstring = True

myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3


def variable_table(variables: Iterable[Variable]) -> str:
    """The variables as a Markdown table, with what the code knows about them."""
    head = ["| variable | meaning | default | URI option |", "|---|---|---|---|"]
    return "\n".join(head + [_row(variable) for variable in variables])


def _row(variable: Variable) -> str:
    option = f"`{variable.option}`" if variable.option else ""
    unit = f" Unit: {variable.type.unit}." if variable.type.unit else ""
    return f"| `{variable.name}` | {variable.meaning}{unit} | {_default(variable)} | {option} |"


def _default(variable: Variable) -> str:
    cases = [
        (variable.default_for("default", "web"), ""),
        (variable.elsewhere, " (other aliases)"),
        (variable.job, " (profile `job`)"),
    ]
    shown = [f"`{_text(value)}`{case}" for value, case in cases if value not in (None, "")]
    return ", ".join(shown) or "none"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _foreign_table() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in FOREIGN_VARIABLES.items()]
    return "\n".join(["| variable | meaning |", "|---|---|", *rows])


myst_substitutions = {
    "database_variables": variable_table(DATABASE_VARIABLES),
    "global_variables": variable_table(GLOBAL_VARIABLES),
    "other_variables": _foreign_table(),
}


def _drop_module_docstrings(
    _app: object, what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    # They are written for readers of the source; the page has its own words on each module.
    if what == "module":
        lines.clear()


def _list_settings(
    _app: object, what: str, _name: str, thing: object, _options: object, lines: list[str]
) -> None:
    # The fields of settings are explained by the table of variables.
    if what == "class" and isinstance(thing, type) and is_dataclass(thing):
        rows = [f"* ``{each.field}``: {each.meaning}" for each in variables_in(thing)]
        lines.extend(["", *rows, ""] if rows else [])


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", _drop_module_docstrings)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", _list_settings)  # type: ignore[attr-defined]
