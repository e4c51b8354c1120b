"""Adds up what a run of test.sh left in a folder, and closes with the line 'N passed, N failed'.

The folder holds build event files of Bazel (*.json, one event a line), and `checks` with a line 'passed NAME',
'failed NAME' or 'skipped NAME: why' for each other check. Every test case counts; a target that does not build, or ends
without a report of its cases, counts as one that failed. Exit status 0 when something passed and nothing failed.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree
from pathlib import Path


class Totals:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.skipped_checks = []
        self.failed = []

    def add_cases(self, target, report):
        """The cases of one test.xml. Returns whether any failed."""
        any_failed = False
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            name = f"{target} {case.get('classname', '')}.{case.get('name', '')}"
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(name)
                any_failed = True
            elif case.find("skipped") is not None or case.get("result") in ("skipped", "suppressed"):
                self.skipped += 1
            else:
                self.passed += 1
        return any_failed

    def add_checks(self, lines):
        """The checks that are no Bazel tests."""
        for line in lines:
            outcome, _, name = line.partition(" ")
            if outcome == "passed":
                self.passed += 1
            elif outcome == "skipped":
                self.skipped += 1
                self.skipped_checks.append(name)
            else:
                self.failed.append(name or line)


def read_events(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def add_run(path, totals):
    """One `bazel test`: its test results, and its targets that did not build."""
    expected, seen = set(), set()
    for event in read_events(path):
        identity = event.get("id", {})
        if "targetConfigured" in identity and event.get("configured", {}).get("targetKind", "").endswith("_test rule"):
            if "manual" not in event["configured"].get("tag", []):
                expected.add(identity["targetConfigured"]["label"])
        if "targetCompleted" in identity and not event.get("completed", {}).get("success", False):
            expected.add(identity["targetCompleted"]["label"])
        if "testResult" in identity:
            target = identity["testResult"]["label"]
            seen.add(target)
            result = event["testResult"]
            reports = [out for out in result.get("testActionOutput", []) if out["name"] == "test.xml"]
            any_failed = False
            for report in reports:
                any_failed |= totals.add_cases(target, urllib.parse.unquote(report["uri"][len("file://"):]))
            if result["status"] != "PASSED" and not any_failed:
                totals.failed.append(f"{target} ({result['status']})")
    totals.failed += [f"{target} (did not build)" for target in sorted(expected - seen)]
    if not expected:
        totals.failed.append(f"{path.stem}: Bazel ran no test")


def main():
    folder = Path(sys.argv[1])
    totals = Totals()
    for path in sorted(folder.glob("*.json")):
        add_run(path, totals)
    checks = folder / "checks"
    if checks.exists():
        totals.add_checks(checks.read_text(encoding="utf-8").splitlines())
    for name in totals.skipped_checks:
        print(f"skipped: {name}")
    for name in totals.failed:
        print(f"failed: {name}")
    if totals.skipped:
        print(f"{totals.passed} passed, {len(totals.failed)} failed, {totals.skipped} skipped")
    else:
        print(f"{totals.passed} passed, {len(totals.failed)} failed")
    return 0 if totals.passed and not totals.failed else 1


if __name__ == "__main__":
    sys.exit(main())
