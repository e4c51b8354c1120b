"""The rules for Prometheus: they are rules, each alert fires when it should and not otherwise, and people who are woken by
one find out what to do."""

import re
import subprocess
import unittest

import yaml

from expressions import ALERTS, ROOT, RULES, rules_of

TESTS = ROOT / "deploy/prometheus/evenkeel.tests.yml"
CONFIG = ROOT / "deploy/prometheus/prometheus.yml"


def runbook():
    """{anchor: text} of the entries in doc/operations.md that are about alerts."""
    alerts = re.search(r"^## Alerts$(.*?)^## ", (ROOT / "doc/operations.md").read_text(), re.M | re.S)
    parts = re.split(r"^### (.+)$", alerts.group(1), flags=re.M)
    return {title.lower(): text for title, text in zip(parts[1::2], parts[2::2])}


class PromtoolTest(unittest.TestCase):
    def promtool(self, *arguments):
        process = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)

    def test_they_are_rules(self):
        self.promtool("check", "rules", "--lint-fatal", RULES, ALERTS)

    def test_the_configuration_is_one(self):
        self.promtool("check", "config", CONFIG)

    def test_they_fire_when_they_should(self):
        self.promtool("test", "rules", TESTS)


class AlertsTest(unittest.TestCase):
    def setUp(self):
        self.alerts = {rule["alert"]: rule for rule in rules_of(ALERTS)}
        self.assertGreater(len(self.alerts), 15)

    def test_the_configuration_reads_both_files(self):
        self.assertEqual(yaml.safe_load(CONFIG.read_text())["rule_files"], [RULES.name, ALERTS.name])

    def test_each_says_what_and_how_bad_it_is(self):
        for name, rule in self.alerts.items():
            self.assertRegex(name, r"^Evenkeel([A-Z][a-z]+)+$")
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"), name)
            self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"}, name)

    def test_each_is_tested_firing_and_silent(self):
        tests = {test["name"]: test["promql_expr_test"] for test in yaml.safe_load(TESTS.read_text())["tests"]}
        for name in self.alerts:
            self.assertIn(name, tests)
            firing = f'ALERTS{{alertname="{name}", alertstate="firing"}}'
            outcomes = {bool(case.get("exp_samples")) for case in tests[name] if case["expr"] == firing}
            self.assertEqual(outcomes, {True, False}, name)

    def test_each_has_an_entry_in_the_runbook_and_each_entry_an_alert(self):
        entries = runbook()
        self.assertEqual(set(entries), {name.lower() for name in self.alerts})
        for name, rule in self.alerts.items():
            self.assertEqual(rule["annotations"]["runbook"], f"doc/operations.md#{name.lower()}")
        for name, text in entries.items():
            for part in ("**Means**", "**Look**", "**Do**"):
                self.assertIn(part, text, name)

    def test_links_of_the_runbook_lead_somewhere(self):
        document = (ROOT / "doc/operations.md").read_text()
        headings = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                    for title in re.findall(r"^##+ (.+)$", document, re.M)}
        for link in re.findall(r"\]\(#([^)]+)\)", document):
            self.assertIn(link, headings)


if __name__ == "__main__":
    unittest.main(verbosity=2)
