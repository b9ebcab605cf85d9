"""Every row of the table of variables is read, shown, explained and documented: a new one is
tested by being there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from datalayer.errors import ConfigurationError
from datalayer.settings import DatabaseSettings, RecorderSettings, Row, Settings, Variable
from datalayer.settings.value_types import NAMES, Value, as_text
from datalayer.settings.variables import DATABASE_VARIABLES, GLOBAL_VARIABLES, RECORDER_VARIABLES

LOCAL = "mongodb://localhost:27017/shop"
OF_A_DATABASE = [variable for variable in DATABASE_VARIABLES if variable.field != "uri"]
ALL = [*DATABASE_VARIABLES, *GLOBAL_VARIABLES]


def name_of(variable: Variable) -> str:
    return variable.name


def full_name(variable: Variable) -> str:
    return variable.name if variable.prefix else f"MONGODB_{variable.name}"


def other_value(variable: Variable) -> Value:
    """A correct value that is not the default."""
    texts = [*re.findall(r"\w+", variable.type.expected), "7", "/srv/spool"]
    values = [variable.type.read(text) for text in texts if variable.type.accepts(text)]
    return next(value for value in values if value != variable.default)


def from_env(**variables: str) -> Settings:
    return Settings.from_env({"MONGODB_URI": LOCAL, **variables})


@pytest.mark.parametrize("variable", OF_A_DATABASE, ids=name_of)
def test_a_variable_of_a_database_is_read_and_shown(variable: Variable) -> None:
    value, name = other_value(variable), full_name(variable)
    settings = from_env(**{name: as_text(value)})
    assert getattr(settings["default"], variable.field) == value
    assert Row("default", name, as_text(value), "environment") in settings.rows
    in_code = Settings(databases={"default": {"uri": LOCAL, variable.field: value}})
    assert in_code["default"] == settings["default"]


@pytest.mark.parametrize("variable", [v for v in OF_A_DATABASE if v.option], ids=name_of)
def test_the_option_of_a_uri_means_the_same_as_its_variable(variable: Variable) -> None:
    value = other_value(variable)
    settings = from_env(MONGODB_URI=f"{LOCAL}?{variable.option}={as_text(value)}")
    assert getattr(settings["default"], variable.field) == value
    assert Row("default", full_name(variable), as_text(value), "URI") in settings.rows


@pytest.mark.parametrize(
    "variable", [v for v in GLOBAL_VARIABLES if v.type is not NAMES], ids=name_of
)
def test_a_variable_of_the_application_is_read_and_shown(variable: Variable) -> None:
    value = other_value(variable)
    settings = from_env(**{variable.name: as_text(value)})
    assert Row("", variable.name, as_text(value), "environment") in settings.rows
    if variable in RECORDER_VARIABLES:
        assert getattr(settings.recorder, variable.field) == value


def test_the_fields_of_settings_are_the_variables() -> None:
    assert from_env().recorder == RecorderSettings()
    default = from_env()["default"]
    values = {v.field: v.default for v in OF_A_DATABASE}
    assert default == DatabaseSettings(alias="default", uri=LOCAL, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("variable", [v for v in ALL if not v.type.accepts("' #")], ids=name_of)
def test_a_wrong_value_is_told_with_an_example_that_is_correct(variable: Variable) -> None:
    name = full_name(variable)
    with pytest.raises(ConfigurationError) as caught:
        from_env(**{name: "' #"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name} must be {variable.type.expected}")
    example = problem.partition(f"; for example {name}=")[2]
    assert variable.type.accepts(example)


@pytest.mark.parametrize("variable", [*OF_A_DATABASE, *GLOBAL_VARIABLES], ids=name_of)
def test_a_slip_in_the_name_is_told_with_the_name(variable: Variable) -> None:
    name = full_name(variable)
    with pytest.raises(ConfigurationError) as caught:
        from_env(**{f"{name[:-1]}_{name[-1]}": "7", f"{name}X": "7"})
    assert [problem.partition("did you mean ")[2] for problem in caught.value.problems] == [
        f"{name}?", f"{name}?",
    ]  # fmt: skip


@pytest.mark.parametrize("variable", ALL, ids=name_of)
def test_a_variable_is_explained_in_the_documentation(variable: Variable) -> None:
    assert variable.meaning.endswith(".")
    docs = Path(__file__).parents[2] / "docs"
    tables = runpy.run_path(str(docs / "conf.py"))["myst_substitutions"]
    table = tables["global_variables" if variable.prefix else "database_variables"]
    assert f"| `{variable.name}` | {variable.meaning}" in table
