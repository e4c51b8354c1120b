"""The dashboards as Grafana reads them: panels that it still has, a layout without overlaps, variables in place of names, and
nothing that a person would have to guess."""

import itertools
import re
import unittest

import expressions

PANELS = {"timeseries", "stat", "table", "heatmap", "state-timeline", "bargauge"}
UNITS = {"none", "percentunit", "s", "bytes", "suffix: /s"}
# Grafana's own.
BUILT_IN = {"__rate_interval", "__url_time_range", "__value"}


def variables_in(text):
    return set(re.findall(r"\$\{?([A-Za-z_]\w*)", text)) - BUILT_IN


class DashboardsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dashboards = expressions.read_dashboards()

    def panels(self):
        for name, dashboard in self.dashboards.items():
            for panel in dashboard["panels"]:
                yield f"{name}, {panel['title']}", panel

    def test_these_five(self):
        self.assertEqual(set(self.dashboards), {"fleet", "job", "experts", "workers", "compare"})

    def test_each_is_known_by_its_name(self):
        for name, dashboard in self.dashboards.items():
            self.assertEqual(dashboard["uid"], f"evenkeel-{name}")
            self.assertEqual(dashboard["tags"], ["evenkeel"])
            self.assertGreaterEqual(dashboard["schemaVersion"], 39)
            self.assertTrue(dashboard["title"].startswith("Evenkeel: "))
            self.assertTrue(dashboard["description"])
            self.assertNotIn("id", dashboard, "an id is of one Grafana")

    def test_each_leads_to_the_others(self):
        for name, dashboard in self.dashboards.items():
            links = [link for link in dashboard["links"] if link["type"] == "dashboards"]
            self.assertEqual([link["tags"] for link in links], [["evenkeel"]], name)

    def test_links_to_a_dashboard_set_variables_that_it_has(self):
        urls = re.findall(r'"url": "([^"]+)"', "".join(path.read_text() for path in expressions.DASHBOARDS))
        self.assertGreater(len(urls), 2)
        for url in urls:
            target = re.match(r"/d/evenkeel-(\w+)\?", url)
            self.assertIsNotNone(target, url)
            variables = {entry["name"] for entry in self.dashboards[target.group(1)]["templating"]["list"]}
            named = set(re.findall(r"var-(\w+)=|\$\{(\w+):queryparam\}", url))
            self.assertLessEqual({one or other for one, other in named}, variables, url)

    def test_variables_are_there_and_are_used(self):
        for name, dashboard in self.dashboards.items():
            variables = [entry["name"] for entry in dashboard["templating"]["list"]]
            self.assertEqual(variables[0], "datasource", name)
            used = {"datasource"}
            for panel in dashboard["panels"]:
                self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"}, name)
                used |= set().union(*(variables_in(target["expr"]) for target in panel["targets"]))
            self.assertEqual(used, set(variables), name)

    def test_panels_are_of_current_types(self):
        for where, panel in self.panels():
            self.assertIn(panel["type"], PANELS, where)

    def test_panels_explain_themselves(self):
        for where, panel in self.panels():
            self.assertTrue(panel["title"], where)
            self.assertTrue(panel["description"].endswith("."), where)
            defaults = panel["fieldConfig"]["defaults"]
            self.assertIn(defaults["unit"], UNITS, where)
            self.assertIsNone(defaults["thresholds"]["steps"][0]["value"], where)

    def test_panels_have_places_of_their_own(self):
        for name, dashboard in self.dashboards.items():
            ids = [panel["id"] for panel in dashboard["panels"]]
            self.assertEqual(len(ids), len(set(ids)), name)
            places = [panel["gridPos"] for panel in dashboard["panels"]]
            for place in places:
                self.assertLessEqual(place["x"] + place["w"], 24, name)
            for one, other in itertools.combinations(places, 2):
                apart = (one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"] or
                         one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"])
                self.assertTrue(apart, f"{name}: {one} and {other}")

    def test_several_lines_are_told_apart(self):
        for where, panel in self.panels():
            if panel["type"] not in ("timeseries", "state-timeline") or len(panel["targets"]) == 1:
                continue
            legends = [target.get("legendFormat") for target in panel["targets"]]
            self.assertNotIn(None, legends, where)
            self.assertEqual(len(legends), len(set(legends)), where)

    def test_columns_that_are_dressed_are_there(self):
        for where, panel in self.panels():
            renamed = {name for step in panel.get("transformations", []) if step["id"] == "organize"
                       for name in step["options"]["renameByName"].values()}
            for override in panel["fieldConfig"]["overrides"] if renamed else []:
                self.assertIn(override["matcher"]["options"], renamed, where)
            for column in panel["options"].get("sortBy", []):
                self.assertIn(column["displayName"], renamed, where)

    def test_queries_of_a_table_are_columns(self):
        for where, panel in self.panels():
            if panel["type"] != "table" or len(panel["targets"]) == 1:
                continue
            organize, = (step["options"] for step in panel["transformations"] if step["id"] == "organize")
            for target in panel["targets"]:
                self.assertIn(f"Value #{target['refId']}", organize["renameByName"] | organize["excludeByName"], where)

    def test_values_of_a_job_are_of_the_job_that_was_chosen(self):
        of_no_job = re.compile(r"evenkeel_(build_info|rpc_\w+|connections|store_bytes|store_failures_total)")
        for where, target in expressions.of_dashboards():
            for selector in re.findall(r"(?<!\w)(?:\w+:)?evenkeel_[\w:]+(?:\{[^}]*\})?", target["expr"]):
                if not of_no_job.match(selector):
                    self.assertRegex(selector, r'[{ ]job=~?"\$job', where)


if __name__ == "__main__":
    unittest.main(verbosity=2)
