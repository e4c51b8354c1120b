"""The soak as a person runs it, for a few steps: what it says, and what it refuses."""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
STATE_DIR = os.environ["TEST_TMPDIR"]


def run(*flags):
    return subprocess.run([ROOT / "tests/soak/soak", *flags], cwd=ROOT, capture_output=True, text=True, check=False)


class SoakProgramTest(unittest.TestCase):
    def test_says_what_it_did_as_json(self):
        process = run("--steps=150", "--workers=8", "--seed=3", "--json", f"--state_dir={STATE_DIR}")
        self.assertIn(process.returncode, (0, 1), process.stderr)  # a sanitizer's memory grows
        self.assertEqual(os.listdir(STATE_DIR), [])
        said = json.loads(process.stdout)["soak"]
        self.assertEqual(said["steps"], 150)
        self.assertEqual(said["workers"], 8)
        self.assertEqual(said["steps_taken"] - said["steps_rewound"], 150)
        self.assertEqual(said["steps_lost"], 0)
        self.assertGreaterEqual(said["lives"], 2)
        self.assertGreater(said["pushes"], 6 * 150)
        self.assertGreater(said["life_resident_most"], 0)
        self.assertGreater(said["life_files_second_tenth"], 3)

    def test_says_the_same_to_people(self):
        process = run("--steps=100", "--workers=8", f"--state_dir={STATE_DIR}")
        self.assertIn("soak: 8 workers, 100 steps, seed 1", process.stdout)
        self.assertIn("MiB resident", process.stdout)

    def test_help_teaches(self):
        said = run("--help").stdout
        for word in ("bazel run //tests/soak", "--seed 7", "Exit code 1", "--workers"):
            self.assertIn(word, said)

    def test_refuses_what_it_cannot_do(self):
        for flag, words in (("--steps=99", "--steps is 99"), ("--workers=7", "--workers is 7")):
            process = run(flag)
            self.assertEqual(process.returncode, 2)
            self.assertIn(words, process.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
