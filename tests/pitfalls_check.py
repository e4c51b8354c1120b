#!/usr/bin/python3
"""Holds doc/pitfalls.md and the tests together: it has a row for each pitfall, each row names a test that is there and is
numbered after it or the part that owns it, and no test that is numbered after a pitfall is missing."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PITFALLS = 41
TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(Pitfall\d\d\w*)\s*\)|^TYPED_TEST\(\s*(\w+),\s*(Pitfall\d\d\w*)\s*\)", re.M)
ROW = re.compile(r"^\| (\d\d) \|(.*)\|([^|]*)\|$", re.M)


def tests_in_tree():
    """What is numbered after a pitfall: its name, and the file it is in."""
    listed = subprocess.run(["git", "ls-files", "*_test.cc"], cwd=ROOT, check=True, capture_output=True, text=True)
    found = {}
    for file in listed.stdout.split():
        for match in TEST.finditer((ROOT / file).read_text()):
            found[match[2] or match[4]] = file
    return found


def problems(document, found):
    rows = {int(number): tests for number, _, tests in ROW.findall(document)}
    for number in range(1, PITFALLS + 1):
        if number not in rows:
            yield f"pitfall {number} has no row"
            continue
        named = re.findall(r"`(Pitfall\w+)`", rows[number])
        if not named and "later: " not in rows[number]:
            yield f"pitfall {number} names neither a test nor the part that owns it"
        for name in named:
            if name not in found:
                yield f"pitfall {number}: there is no test {name}"
            elif not name.startswith(f"Pitfall{number:02}"):
                yield f"pitfall {number}: {name} is numbered after another"
            elif f"]({'../' + found[name]})" not in rows[number]:
                yield f"pitfall {number}: {name} is in {found[name]}, which the row does not link"
    documented = set(re.findall(r"`(Pitfall\w+)`", document))
    for name in sorted(set(found) - documented):
        yield f"{name} in {found[name]} is in no row"


def main():
    document = ROOT / "doc/pitfalls.md"
    found = tests_in_tree()
    told = list(problems(document.read_text(), found))
    for problem in told:
        print(f"doc/pitfalls.md: {problem}", file=sys.stderr)
    print(f"pitfalls: {PITFALLS} rows, {len(found)} tests")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
