"""Routers of Hugging Face transformers against Evenkeel's, for every family that both have.

For each config.json of hf_families.py, as written there and as transformers saves it:
  layers   those that have routers, the names of routers and biases in the model and in checkpoints, and what the
           block multiplies, are what `evenkeel describe-model` says;
  rows     what the module's own router makes of random rows, at bias 0 and, where it has a bias, at random ones, is
           what `evenkeel route --model` makes of the module's logits.
Families that no RouteSpec can express must be refused, and named. What transformers does not have of our families is
listed, and so is what nobody here knows of its own.

  hf_routers.py [--binaries DIR] [--json REPORT] [FAMILY ...]

One line a family on stdout; exit status 1 when anything differs.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import hf_comparison
import hf_families
import hf_modules
from evenkeel import Evenkeel

DEFINES_ROUTER = re.compile(rf"^class {hf_modules.ROUTER_CLASS}\(", re.MULTILINE)


def folder_of(name, family):
    """The folder of transformers that a family is in, or None."""
    known_as = family.built_as or name
    if known_as not in CONFIG_MAPPING:
        return None
    return CONFIG_MAPPING[known_as].__module__.split(".")[-2]


def unknown_folders(known):
    """The folders of transformers that have a router of experts, and are not `known`."""
    models = Path(transformers.__file__).parent / "models"
    return sorted(
        file.parent.name
        for file in models.glob("*/modeling_*.py")
        if file.parent.name not in known and DEFINES_ROUTER.search(file.read_text(encoding="utf-8"))
    )


def check_all(evenkeel, chosen):
    """Compares the families, prints as it goes, and returns the report."""
    report = {"transformers": transformers.__version__, "families": [], "refused": [], "absent": [], "unknown": []}
    known = set(hf_families.OTHER_ROUTERS)
    for part, check, families in (
        ("families", hf_comparison.check_family, hf_families.COMPARED),
        ("refused", hf_comparison.check_refusal, hf_families.REFUSED),
    ):
        for name, family in families.items():
            folder = folder_of(name, family)
            known.add(folder)
            if chosen and name not in chosen:
                continue
            if folder is None:
                report["absent"].append(name)
                continue
            result = check(evenkeel, name, family)
            print(result.line(), *result.problems, sep="\n    ", flush=True)
            report[part].append(result.report())
    report["unknown"] = unknown_folders(known)
    return report


def print_summary(report):
    compared = report["families"]
    rows = sum(family["rows_compared"] for family in compared)
    print(f"transformers {report['transformers']} does not have: {', '.join(report['absent'])}")
    print(f"transformers has, and nobody here knows: {', '.join(report['unknown'])}")
    different = [family["name"] for part in ("families", "refused") for family in report[part] if family["problems"]]
    print(
        f"{len(compared)} families compared, {sum(family['configs'] for family in compared)} configs, {rows} rows,"
        f" {sum(family['ties_dropped'] for family in compared)} ties dropped; {len(report['refused'])} refusals;"
        f" {len(different)} families differ{': ' if different else ''}{', '.join(different)}"
    )
    return not different and (rows or report["refused"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default="bazel-bin", help="where Evenkeel's binaries are")
    parser.add_argument("--json", metavar="REPORT", help="where a report goes")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="all, when none is named")
    options = parser.parse_args()
    unknown = set(options.families) - {*hf_families.COMPARED, *hf_families.REFUSED}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    report = check_all(Evenkeel(options.binaries), options.families)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if print_summary(report) else 1


if __name__ == "__main__":
    sys.exit(main())
