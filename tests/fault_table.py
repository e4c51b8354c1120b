#!/usr/bin/env python3
"""Adds up the faults that the last run of the tests has injected, and what they cost: README's table, as Markdown.

usage: tests/fault_table.py [FOLDER]

FOLDER is that of the tests' logs, bazel-testlogs unless named. A test says what it has done in lines of this form:

    fault KIND: N injected, 0 steps lost
    fault KIND: N injected in 472 steps, M detected, 0 served

The last number with its words is what the faults cost. Exit status 1 when they cost anything, or there are none.
"""

import collections
import re
import sys
from pathlib import Path

LINE = re.compile(r"^fault (?P<kind>[^:]+): (?P<times>\d+) injected.*?(?P<cost>\d+) (?P<what>[a-z ]*(?:lost|served|went on))$", re.M)


def read(folder):
    """(times, cost in words of what) by kind."""
    times, costs = collections.Counter(), collections.defaultdict(collections.Counter)
    for log in sorted(folder.rglob("test.log")):
        for line in LINE.finditer(log.read_text(encoding="utf-8", errors="replace")):
            times[line["kind"]] += int(line["times"])
            costs[line["kind"]][line["what"].strip()] += int(line["cost"])
    return times, costs


def main():
    if len(sys.argv) > 2 or "--help" in sys.argv:
        print(__doc__)
        return 0 if "--help" in sys.argv else 2
    times, costs = read(Path(sys.argv[1] if len(sys.argv) == 2 else "bazel-testlogs").resolve())
    print("| fault | times | what was lost |\n|---|---|---|")
    lost = 0
    for kind, count in sorted(times.items(), key=lambda item: item[0].lower()):
        cost = {what: number for what, number in costs[kind].items() if not what.endswith("went on")}
        lost += sum(cost.values())
        print(f"| {kind} | {count:,} | {', '.join(f'{number} {what}' for what, number in cost.items()) or 'nothing'} |")
    print(f"\n{sum(times.values()):,} faults of {len(times)} kinds, {lost} losses")
    return 0 if times and not lost else 1


if __name__ == "__main__":
    sys.exit(main())
