"""The PromQL of deploy/: of dashboards and of rules, and what it asks for."""

import json
import os
import re
from pathlib import Path

import yaml

ROOT = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
RULES = ROOT / "deploy/prometheus/evenkeel.rules.yml"
ALERTS = ROOT / "deploy/prometheus/evenkeel.alerts.yml"


def read_dashboards():
    return {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}


def rules_of(file):
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def of_dashboards():
    """(where, target) of all panels; a target has `expr`, with Grafana's variables in it."""
    for name, dashboard in read_dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                yield f"{name}, {panel['title']}, {target['refId']}", target


def metrics_in(expression):
    """Names of the metrics and recorded series that an expression reads."""
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"(?<![$\w:])(?:\w+:)?evenkeel_\w+(?::\w+)?|\bprocess_\w+|\bscrape_\w+|\bALERTS\b|\bup\b",
                          without_strings))


def family(name):
    """The metric that a series of a histogram is of."""
    return re.sub(r"_(bucket|sum|count)$", "", name)
