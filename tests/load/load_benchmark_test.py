"""load_benchmark as a person runs it: what it measures and says, not how fast it is."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
PROGRAM = ROOT / "tests/load/load_benchmark"
STATE_DIR = os.environ["TEST_TMPDIR"]
SHORT = ("--rounds=3", "--seconds=0.05", f"--state_dir={STATE_DIR}")


def run(*flags):
    return subprocess.run([PROGRAM, *flags], cwd=ROOT, capture_output=True, text=True, check=False)


class LoadBenchmarkTest(unittest.TestCase):
    def said(self, *flags):
        process = run("--json", *SHORT, *flags)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(os.listdir(STATE_DIR), [])
        return json.loads(process.stdout)

    def check_samples(self, case, *sides):
        for side in sides:
            self.assertGreaterEqual(case[f"{side}_steps"], 9)
            for what in ("last_push_to_reply", "first_push_to_reply", "step"):
                samples = case[f"{side}_{what}"]
                self.assertGreater(samples["p50"], 0)
                self.assertGreaterEqual(samples["p99"], samples["p50"])
            self.assertGreater(case[f"{side}_first_push_to_reply"]["p50"], case[f"{side}_last_push_to_reply"]["p50"])

    def test_measures_evenkeeld_beside_an_echo(self):
        said = self.said("--cases=1x2x8,5x3x16", "--channels=2", "--machine=a machine")
        self.assertEqual(said["context"]["machine"], "a machine")
        self.assertEqual(said["context"]["cores"], os.cpu_count())
        self.assertEqual(list(said), ["context", "1x2x8", "5x3x16"])
        for name, workers, layers, experts, channels in (("1x2x8", 1, 2, 8, 1), ("5x3x16", 5, 3, 16, 2)):
            case = said[name]
            self.assertEqual([case[key] for key in ("workers", "layers", "experts", "jobs", "connections")],
                             [workers, layers, experts, 1, channels])
            self.check_samples(case, "evenkeel", "echo")
            self.assertGreater(case["wall_ratio"], 0)
            self.assertLessEqual(case["least_wall_ratio"], case["wall_ratio"])
            self.assertGreaterEqual(case["most_wall_ratio"], case["wall_ratio"])
            self.assertGreater(case["cpu_ratio"], 0)
            self.assertGreater(case["server_cpu_ms_per_step"], 0)
            self.assertGreater(case["echo_cpu_ms_per_step"], 0)
            # Four bytes for each count, and for each bias.
            for bytes_of_all in (case["bytes_in_per_step"], case["bytes_out_per_step"]):
                self.assertGreater(bytes_of_all, workers * layers * experts * 4)
                self.assertLess(bytes_of_all, workers * (layers * experts * 4 + layers * 30 + 200))
            self.assertGreaterEqual(case["peak_resident_bytes"], case["resident_bytes"])
            self.assertGreater(case["resident_bytes"], 1 << 20)
            self.assertGreater(case["echo_resident_bytes"], 1 << 20)
            self.assertGreater(case["load_cores"], 0)

    def test_gives_jobs_their_shares(self):
        case = self.said("--cases=2x2x8", "--jobs=3")["3 jobs of 2x2x8"]
        self.assertEqual(case["jobs"], 3)
        self.check_samples(case, "together", "alone")
        self.assertGreater(case["least_share"], 0)
        self.assertLessEqual(case["least_share"], 1)
        self.assertGreaterEqual(case["most_share"], 1)
        self.assertLess(case["most_share"], 3)
        self.assertGreater(case["jain_index"], 1 / 3)
        self.assertLessEqual(case["jain_index"], 1)
        for quantile in ("p50", "p99"):
            self.assertGreaterEqual(case[f"most_job_{quantile}"], case[f"least_job_{quantile}"])
        self.assertGreater(case["times_the_steps_of_one"], 0)

    def test_measures_over_tls_too(self):
        case = self.said("--cases=3x2x8", "--tls")["3x2x8 tls"]
        self.assertEqual(case["tls"], 1)
        self.check_samples(case, "evenkeel", "echo")
        self.assertGreater(case["wall_ratio"], 0)
        self.assertEqual(self.said("--cases=3x2x8")["3x2x8"]["tls"], 0)

    def test_says_it_to_people_too(self):
        process = run("--cases=3x2x8", *SHORT)
        self.assertEqual(process.returncode, 0, process.stderr)
        for words in ("3 workers, 2 layers of 8 experts, 3 connections", "times the echo's time", "server's CPU a step",
                      "written to the disk", "MiB resident", "the load itself kept"):
            self.assertIn(words, process.stdout)

    def test_refuses_what_it_does_not_know(self):
        for flag, said in (("--cases=1x2", "WORKERSxLAYERSxEXPERTS"), ("--cases=2000x1x8", "workers is 2000"),
                           ("--jobs=0", "--jobs is 0"), ("--channels=-1", "--channels is -1"),
                           ("--rounds=0", "--rounds is 0"), ("--seconds=0", "--seconds is 0")):
            process = run(flag)
            self.assertEqual(process.returncode, 2, flag)
            self.assertIn(said, process.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
