"""A real Prometheus scrapes real coordinators while real workers push, and is asked everything that the dashboards and rules
of deploy/ ask: each is answered, and with data."""

import os
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import expressions
import live_run

# What a run in which nothing goes wrong has no series of.
HEALTHY = {
    "evenkeel_straggler_contributor": "nobody is late for half a minute",
    "evenkeel_layer_drop_ratio": "these workers have no capacity limit to tell of",
    "ALERTS": "nothing is wrong",
}
RUNS = ("run-a", "run-c")  # of which the coordinator shows every expert, or the first two


def filled_in(expression, job):
    """The expression as Grafana sends it."""
    values = {"job": job, "job_a": job, "job_b": "run-b", "layer": "layers.1.gate", "shift": "1s", "__rate_interval": "10s"}
    return re.sub(r"\$\{?([A-Za-z_]\w*)\}?", lambda match: values[match.group(1)], expression)


class PrometheusTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.coordinators = [cls.started(live_run.start_coordinator(folder / name, {"expert_metrics": name}))
                            for name in ("all", "topk:2")]
        for coordinator, job, workers in zip(cls.coordinators * 2, ("run-a", "run-c", "run-b"), (2, 1, 1)):
            for worker in live_run.start_workers(coordinator, job, workers, folder):
                cls.started(worker)
        cls.prometheus = cls.started(live_run.Prometheus(
            folder / "prometheus", expressions.ROOT / "deploy/prometheus/prometheus.yml",
            [expressions.RULES, expressions.ALERTS], [coordinator.metrics for coordinator in cls.coordinators]))
        # Figures come with the first heartbeat, a quarter of a minute after Join.
        live_run.await_truth("scrapes", lambda: len(cls.prometheus.now("count_over_time(evenkeel_job_step[1m]) > 5")) == 3)
        live_run.await_truth("figures of three jobs", lambda: len(cls.prometheus.now(
            "max by (job) (evenkeel_worker_commit_host_seconds)")) == 3)

    @classmethod
    def started(cls, program):
        cls.addClassCleanup(program.stop)
        return program

    def test_every_coordinator_is_scraped_on_both_pages(self):
        up = {(series["metric"]["job"], series["metric"]["instance"]): series["value"][1]
              for series in self.prometheus.now("up")}
        self.assertEqual(up, {(page, coordinator.metrics): "1" for page in ("evenkeel", "evenkeel-experts")
                              for coordinator in self.coordinators})

    def test_jobs_keep_their_names(self):
        self.assertEqual({series["metric"]["job"] for series in self.prometheus.now("evenkeel_job_step")},
                         {"run-a", "run-b", "run-c"})

    def test_panels_have_data(self):
        without = []
        for where, target in expressions.of_dashboards():
            ask = self.prometheus.now if target.get("instant") else self.prometheus.lately
            found = [ask(filled_in(target["expr"], job)) for job in RUNS]
            if not any(found) and not expressions.metrics_in(target["expr"]) & set(HEALTHY):
                without.append(f"{where}: {target['expr']}")
        self.assertEqual(without, [])

    def test_variables_have_values(self):
        for name, dashboard in expressions.read_dashboards().items():
            for variable in dashboard["templating"]["list"]:
                if variable["type"] != "query":
                    continue
                of = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
                found = self.prometheus.now(filled_in(of.group(1), "run-a"))
                self.assertTrue({series["metric"].get(of.group(2)) for series in found} - {None}, f"{name}, {variable['name']}")

    def test_recorded_series_have_data(self):
        recorded = [rule["record"] for rule in expressions.rules_of(expressions.RULES)]
        self.assertEqual([name for name in recorded if not self.prometheus.now(name)], [])

    def test_alerts_look_at_what_is_there(self):
        asked = set().union(*(expressions.metrics_in(rule["expr"]) for rule in expressions.rules_of(expressions.ALERTS)))
        self.assertEqual([name for name in asked - set(HEALTHY) if not self.prometheus.now(name)], [])

    def test_rules_are_evaluated_and_no_alert_fires(self):
        groups = self.prometheus.ask("rules")["groups"]
        self.assertEqual(len(groups), 7)
        for rule in (rule for group in groups for rule in group["rules"]):
            self.assertEqual(rule["health"], "ok", rule.get("lastError"))
            self.assertNotEqual(rule.get("state"), "firing", rule["name"])

    def test_every_metric_is_on_a_page(self):
        pages = [live_run.get(coordinator.metrics, path)[1] for coordinator in self.coordinators
                 for path in ("/metrics", "/metrics/experts")]
        served = set(re.findall(r"^# TYPE (\w+)", "\n".join(pages), re.M))
        recorded = {rule["record"] for rule in expressions.rules_of(expressions.RULES)}
        of_prometheus = {"up", "ALERTS", "scrape_samples_post_metric_relabeling"}
        asked = {target["expr"] for _, target in expressions.of_dashboards()} | {
            rule["expr"] for file in (expressions.RULES, expressions.ALERTS) for rule in expressions.rules_of(file)}
        names = set().union(*map(expressions.metrics_in, asked)) - recorded - of_prometheus - set(HEALTHY)
        self.assertEqual(sorted(name for name in names if expressions.family(name) not in served), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
