"""The dashboard, the alert rules and the page on metrics name what is exported, nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import DOCS

import datalayer.contrib.prometheus
from datalayer.contrib.prometheus.metrics import METRICS, Metric

HERE = Path(datalayer.contrib.prometheus.__file__).parent
DASHBOARD = HERE / "grafana-dashboard.json"
ALERTS = HERE / "alerts.yml"
PAGE = DOCS / "metrics.md"
NAME = re.compile(r"\bdatalayer_\w+")
ENDINGS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
EXPORTED = {f"{metric.name}{ending}" for metric in METRICS for ending in ENDINGS[metric.kind]}
TELLS_NOTHING_ALONE = {"datalayer_database_required"}
"""Which alert comes of it; no panel's."""


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


@pytest.fixture
def promtool() -> Callable[..., None]:
    """Runs a check of promtool's, which has to succeed."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")

    def check(*words: object) -> None:
        checked = subprocess.run(
            [program, *map(str, words)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr

    return check


# The dashboard


def test_the_dashboard_asks_for_what_is_exported() -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}
    assert asked - EXPORTED == set()


def test_the_dashboard_shows_every_metric() -> None:
    asked = " ".join(queries())
    shown = {metric.name for metric in METRICS if metric.name in asked}
    assert {metric.name for metric in METRICS} - shown == TELLS_NOTHING_ALONE


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (at["x"] + column, at["y"] + line)
            for column in range(at["w"])
            for line in range(at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_the_panels_of_the_dashboard_have_numbers_of_their_own() -> None:
    numbers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_prometheus_understands_the_dashboards_queries(
    promtool: Callable[..., None], tmp_path: Path
) -> None:
    values = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$alias": ".*"}
    text = "\n".join(queries())
    for variable, value in values.items():
        text = text.replace(variable, value)
    rules = [
        {"record": f"panel:{number}", "expr": query}
        for number, query in enumerate(text.splitlines())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


# Alerts


def test_the_alerts_look_at_what_is_exported() -> None:
    assert set(NAME.findall(ALERTS.read_text(encoding="utf-8"))) - EXPORTED == set()


def test_the_rules_are_as_promtool_wants_them(promtool: Callable[..., None]) -> None:
    promtool("check", "rules", ALERTS)


STATE = 'datalayer_database_state{job="j",instance="i",alias="a",state="%s"}'
REQUIRED = 'datalayer_database_required{job="j",instance="i",alias="a"}'
LABELS = '{job="j",instance="i",alias="a"}'
BUCKET = '%s_bucket{job="j",instance="i",alias="a",le="%s"}'
# What an alert looks at, in each minute, and for how many minutes it is silent at least.
TROUBLES: dict[str, tuple[dict[str, str], int]] = {
    "DatalayerRequiredDatabaseDown": ({STATE % "unavailable": "2x30", REQUIRED: "1x30"}, 1),
    "DatalayerOptionalDatabaseDown": ({STATE % "unavailable": "2x30", REQUIRED: "0x30"}, 10),
    "DatalayerNotConnected": (
        {'datalayer_recorder_events_waiting{job="j",instance="i"}': "0x30"},
        5,
    ),
    "DatalayerReplicaSetDegraded": (
        {
            STATE % "degraded": "1x30",
            'datalayer_servers{job="j",instance="i",alias="a",role="unknown"}': "1x30",
        },
        5,
    ),
    "DatalayerReplicationLag": ({f"datalayer_replication_lag_seconds{LABELS}": "45x30"}, 5),
    "DatalayerPoolExhausted": ({f"datalayer_pool_timeouts_total{LABELS}": "0+1x30"}, 1),
    "DatalayerWaitingForConnections": (
        {
            BUCKET % ("datalayer_pool_wait_seconds", "0.1"): "0+90x30",
            BUCKET % ("datalayer_pool_wait_seconds", "1.0"): "0+100x30",
            BUCKET % ("datalayer_pool_wait_seconds", "+Inf"): "0+100x30",
        },
        5,
    ),
    "DatalayerCommandsFail": (
        {
            f"datalayer_command_failures_total{LABELS}": "0+10x30",
            f"datalayer_command_duration_seconds_count{LABELS}": "0+100x30",
        },
        5,
    ),
    "DatalayerCommandsSlow": (
        {
            BUCKET % ("datalayer_command_duration_seconds", "0.25"): "0+90x30",
            BUCKET % ("datalayer_command_duration_seconds", "2.5"): "0+100x30",
            BUCKET % ("datalayer_command_duration_seconds", "+Inf"): "0+100x30",
        },
        10,
    ),
    "DatalayerRecorderDropsEvents": (
        {'datalayer_recorder_events_dropped_total{job="j",instance="i"}': "0+5x30"},
        1,
    ),
    "DatalayerRecorderLags": (
        {'datalayer_recorder_lag_seconds{job="j",instance="i"}': "90x30"},
        5,
    ),
}


def test_each_alert_has_its_trouble_here() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    assert sorted(alerts) == sorted(TROUBLES)


@pytest.mark.parametrize("alert", TROUBLES)
def test_an_alert_fires_at_its_trouble_and_at_no_other(
    alert: str, promtool: Callable[..., None], tmp_path: Path
) -> None:
    series, silent = TROUBLES[alert]
    expected = [(0, name, 0) for name in TROUBLES]
    expected += [(silent + 10, name, int(name == alert)) for name in TROUBLES]
    test = {
        "interval": "1m",
        "input_series": [
            # promtool writes a value that stays the same as 2+0x30.
            {"series": name, "values": values if "+" in values else values.replace("x", "+0x")}
            for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": number}],
            }
            for minute, name, number in expected
        ],
    }
    tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps(tests))
    promtool("test", "rules", path)


def test_a_process_that_is_connected_is_not_taken_for_one_that_is_not(
    promtool: Callable[..., None], tmp_path: Path
) -> None:
    series = ['datalayer_recorder_events_waiting{job="j",instance="i"}', STATE % "connected"]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": "1+0x30"} for name in series],
        "alert_rule_test": [{"alertname": "DatalayerNotConnected", "eval_time": "20m"}],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [test]}))
    promtool("test", "rules", path)


# The page


def row_of(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"


def test_the_page_has_a_row_for_each_metric_and_for_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `datalayer_.*\|$", text, re.MULTILINE)
    assert rows == [row_of(metric) for metric in METRICS]


def test_the_page_names_every_alert() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [alert for alert in TROUBLES if f"`{alert}`" not in text] == []
