"""route_benchmark as a person runs it: what it measures and says, not how fast it is."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
PROGRAM = ROOT / "tests/benchmarks/route_benchmark"

# A peer without PyTorch, whose every call takes the same time.
PEER = """
import json, sys
prepared = None
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "hello":
        answer = {"torch": "0.0", "threads": 2}
    elif request["op"] == "prepare":
        prepared = request
        grouped = request["spec"].get("num_groups", 0) > 1
        answer = {"error": "no groups here"} if grouped else {}
    else:
        assert request["op"] == "turn" and request["seconds"] > 0
        answer = {"route_seconds": 3e-6 * prepared["rows"], "count_seconds": 1e-6 * prepared["rows"]}
    print(json.dumps(answer), flush=True)
"""


def run(*flags):
    """(process, what it said as JSON)"""
    process = subprocess.run(
        [PROGRAM, "--rounds=2", "--benchmark_format=json", *flags],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    return process, json.loads(process.stdout) if process.stdout.startswith("{") else None


class RouteBenchmarkTest(unittest.TestCase):
    def script(self, text):
        path = Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])) / "peer.py"
        path.write_text(text)
        return f"--peer_script={path}"

    def test_tells_what_it_measured(self):
        for router in ("cpu", "reference"):
            process, said = run(f"--router={router}", "--threads=2", "--benchmark_filter=sigmoid/E:64/.*/T:(1|64)/")
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertIn("skipped", said["context"]["peer"])
            self.assertRegex(said["context"]["memory_bandwidth"], r"read [0-9.]+ GB/s, copy [0-9.]+ GB/s")
            bytes_per_row = {}
            for each in said["benchmarks"]:
                self.assertNotIn("error_occurred", each, each)
                self.assertAlmostEqual(each["ns_per_row"] * each["rows_per_second"], 1e9, delta=1e3)
                self.assertLessEqual(each["best_ns_per_row"], each["ns_per_row"])
                self.assertGreater(each["bandwidth_fraction"], 0)
                self.assertNotIn("times_eager", each)
                self.assertTrue(router != "reference" or each["label"].startswith("reference"), each["label"])
                bytes_per_row[each["name"].split("/iterations")[0]] = each["bytes_per_row"]
            self.assertEqual(
                bytes_per_row,
                {f"sigmoid/E:64/K:8/{dtype}/T:{rows}": 64 * size + 8 * 8
                 for dtype, size in (("f32", 4), ("bf16", 2)) for rows in (1, 64)},
            )

    def test_the_shapes_are_those_of_the_bars(self):
        names = subprocess.run(
            [PROGRAM, "--benchmark_list_tests"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        for router in ("sigmoid_groups", "sigmoid", "softmax"):
            for experts in (64, 128, 256, 384, 512):
                for rows in (1, 64, 1024, 4096, 16384, 131072):
                    for dtype in ("f32", "bf16"):
                        self.assertIn(f"{router}/E:{experts}/K:8/{dtype}/T:{rows}/", names)

    def test_measures_a_peer_turn_by_turn(self):
        process, said = run(
            "--peer=/usr/bin/python3", self.script(PEER), "--benchmark_filter=E:64/K:8/f32/T:64/"
        )
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(said["context"]["peer"], "PyTorch 0.0, 2 threads")
        found = {each["name"].split("/")[0]: each for each in said["benchmarks"]}
        for name in ("sigmoid", "softmax"):
            each = found[name]
            self.assertAlmostEqual(each["eager_ns_per_row"], 3000, delta=0.01)
            self.assertAlmostEqual(each["eager_count_ns_per_row"], 1000, delta=0.01)
            self.assertAlmostEqual(each["times_eager"] * each["ns_per_row"], 4000, delta=0.1)
            self.assertAlmostEqual(each["best_times_eager"] * each["best_ns_per_row"], 4000, delta=0.1)
        self.assertIn("no eager: no groups here", found["sigmoid_groups"]["label"])
        self.assertNotIn("times_eager", found["sigmoid_groups"])

    def test_goes_on_without_a_peer(self):
        for script, why in (("raise SystemExit(77)", "has ended"), ("print('hm')", "says hm")):
            process, said = run(
                "--peer=/usr/bin/python3", self.script(script), "--benchmark_filter=softmax/E:64/K:8/f32/T:64/"
            )
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertIn(why, said["context"]["peer"])
            self.assertEqual(len(said["benchmarks"]), 1)
        process, said = run("--peer=/no/such/python", "--benchmark_filter=softmax/E:64/K:8/f32/T:64/")
        self.assertIn("/no/such/python", said["context"]["peer"])

    def test_real_models(self):
        config = Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])) / "config.json"
        config.write_text(json.dumps({
            "model_type": "glm4_moe", "num_hidden_layers": 3, "first_k_dense_replace": 1, "n_routed_experts": 24,
            "num_experts_per_tok": 3,
        }))
        for model, pattern in (("Kimi-K2", "Kimi-K2/E:384/K:8"), (str(config), r"glm4_moe:.*/E:24/K:3")):
            process, said = run(f"--model={model}", "--benchmark_filter=f32/T:64/")
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertEqual(len(said["benchmarks"]), 1)
            self.assertRegex(said["benchmarks"][0]["name"], f"^{pattern}/f32/T:64/")

    def test_refuses_what_it_does_not_know(self):
        for flag, said in (("--model=GPT-9", "Qwen3-30B-A3B"), ("--model=/no/such/config.json", "/no/such/config.json"),
                           ("--router=gpu", '"gpu"'), ("--threads=-1", "-1"), ("--rounds=0", "--rounds is 0")):
            process, _ = run(flag)
            self.assertEqual(process.returncode, 2, flag)
            self.assertIn(said, process.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
