"""The quick start as a person runs it: evenly loaded experts, one bias on all workers, and the same bits when the
coordinator is killed in the middle of a step. Real processes, real text."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

RUNFILES = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
SCRIPT = RUNFILES / "tools/quickstart.py"
ENVIRONMENT = dict(os.environ, EVENKEEL_BINARIES=str(RUNFILES))


def new_folder():
    return tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])


def quickstart(*flags):
    """Runs it and returns (process, report)."""
    folder = Path(new_folder())
    report = folder / "report.json"
    process = subprocess.run(
        ["/usr/bin/python3", SCRIPT, f"--folder={folder}/run", f"--report={report}", *flags],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )
    return process, json.loads(report.read_text()) if report.exists() else None


class QuickstartTest(unittest.TestCase):
    undisturbed = None

    @classmethod
    def setUpClass(cls):
        cls.process, cls.undisturbed = quickstart()

    def test_leaves_pictures_of_the_run(self):
        page = re.search(r"^pictures (\S+)", self.process.stdout, re.MULTILINE)
        self.assertIsNotNone(page, self.process.stdout)
        text = Path(page[1]).read_text()
        self.assertIn("<h1>quickstart</h1>", text)
        self.assertIn("<dt>steps</dt><dd>200</dd>", text)
        self.assertIn("At the start: steps 1 to 8 together", text)
        self.assertIn("At the end: steps 193 to 200 together", text)

    def test_balances_within_two_hundred_steps(self):
        self.assertEqual(self.process.returncode, 0, self.process.stderr)
        report = self.undisturbed
        self.assertGreater(report["max_violation_first"], 1.0)
        self.assertLessEqual(report["max_violation_tail"], 0.2)
        shape = {key: report[key] for key in ("steps", "workers", "layers", "experts", "top_k", "tokens_total")}
        self.assertEqual(
            shape,
            {"steps": 200, "workers": 4, "layers": 8, "experts": 64, "top_k": 6, "tokens_total": 200 * 4 * 2048},
        )
        self.assertEqual(report["coordinator_restarts"], 0)
        self.assertRegex(report["bias_hash"], r"^[0-9a-f]{16}$")
        self.assertGreater(report["commit_seconds_p50"], 0)

    def test_killing_the_coordinator_changes_no_bit(self):
        process, report = quickstart("--kill-coordinator-at", "80")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("killed the coordinator (SIGKILL) in step 80", process.stderr)
        self.assertEqual(report["coordinator_restarts"], 1)
        self.assertEqual(report["bias_hash"], self.undisturbed["bias_hash"])

    def test_the_device_changes_no_bit(self):
        if not Path("/dev/nvidiactl").exists():
            self.skipTest("there is no GPU: it ran on the processor")
        process, report = quickstart("--device", "cpu")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(report["bias_hash"], self.undisturbed["bias_hash"])

    def test_a_gpu_that_is_not_there_is_a_sentence(self):
        process, report = quickstart("--workers", "1", "--steps", "3", "--device", "1023")
        self.assertEqual(process.returncode, 1)
        self.assertIn("CUDA device 1023", process.stderr)
        self.assertIsNone(report)

    def test_other_text_and_sizes(self):
        folder = Path(new_folder())
        (folder / "tiny.txt").write_text("To be, or not to be, that is the question.\n" * 20)
        process, report = quickstart("--workers", "1", "--steps", "3", "--text", str(folder))
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual((report["workers"], report["steps"]), (1, 3))

    def test_balances_made_up_work(self):
        process, report = quickstart(
            "--synthetic", "--skew=0.5", "--drift=0.0001", "--dead-experts=2", "--padding=0.25",
            "--workers", "2", "--steps", "60",
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        # 64 experts, top-k 6; see --help of the worker.
        self.assertAlmostEqual(report["max_violation_first"], 1.9, delta=0.3)
        self.assertLess(report["max_violation_tail"], 0.5 * report["max_violation_first"])
        self.assertRegex(report["bias_hash"], r"^[0-9a-f]{16}$")
        self.assertAlmostEqual(report["tokens_total"] / (60 * 2 * 2048), 0.75, delta=0.01)

    def test_bad_arguments_start_nothing(self):
        for flags in (["--workers", "0"], ["--steps", "x"], ["--text", "/no/such/file"],
                      ["--steps", "5", "--kill-coordinator-at", "6"], ["--synthetic", "--padding", "1.5"],
                      ["--skew", "0.123"], ["--device", "gpu"], ["--synthetic", "--dead-experts", "59"]):
            process, report = quickstart(*flags)
            self.assertEqual(process.returncode, 2, flags)
            self.assertIn(flags[-1], process.stderr)
            self.assertIsNone(report)

    def test_interrupt_ends_everything_it_started(self):
        folder = Path(new_folder()) / "run"
        process = subprocess.Popen(
            ["/usr/bin/python3", SCRIPT, f"--folder={folder}", "--steps", "100000"],
            env=ENVIRONMENT, stderr=subprocess.PIPE, text=True,
        )
        for line in process.stderr:
            if line.startswith("step"):
                break
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        self.assertEqual(len(children), 5)
        process.send_signal(signal.SIGINT)
        process.communicate()
        self.assertEqual(process.returncode, 130)
        for child in children:
            self.assertFalse(Path(f"/proc/{child}").exists(), child)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
