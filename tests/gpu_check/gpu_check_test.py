"""gpu_check as a stranger gets it: what it needs of a machine, what it says, how it ends."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER = Path(os.environ["TEST_SRCDIR"]) / "evenkeel/tests/gpu_check"
PROGRAM = FOLDER / "gpu_check"
PLAIN = FOLDER / "plain_gpu_check"  # the same on plain memory, for what happens after there is a GPU

RIGHT, FAILED, WRONG_USAGE, NO_GPU = 0, 1, 2, 77

# Ubuntu 22.04's; the unwinder of GCC 12 asks for it.
NEWEST_GLIBC = (2, 35)


def run(*flags, program=PROGRAM):
    return subprocess.run([program, *flags], capture_output=True, text=True, check=False)


def read(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def is_sanitized():
    return re.search(r"__(asan|ubsan|tsan)_", read("nm", "-D", PROGRAM)) is not None


class SelfContainedTest(unittest.TestCase):
    def setUp(self):
        if is_sanitized():
            self.skipTest("a sanitizer brings libraries of its own")

    def test_needs_the_c_library_and_nothing_else(self):
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", read("readelf", "-d", PROGRAM)))
        self.assertIn("libc.so.6", needed)
        self.assertLessEqual(needed, {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})

    def test_runs_with_older_c_libraries(self):
        asked = read("readelf", "--version-info", "--wide", PROGRAM)
        self.assertNotRegex(asked, "GLIBCXX|CXXABI")
        versions = {(int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", asked)}
        self.assertTrue(versions)
        self.assertLessEqual(max(versions), NEWEST_GLIBC)

    def test_looks_for_no_library_where_it_was_built(self):
        self.assertNotRegex(read("readelf", "-d", PROGRAM), "RPATH|RUNPATH")


class CommandLineTest(unittest.TestCase):
    def test_help_teaches(self):
        process = run("--help")
        self.assertEqual(process.returncode, RIGHT)
        for word in ("--tests", "--benchmark", "--quick", "--json", "--gtest_filter", "exit code", "77"):
            self.assertIn(word, process.stdout)

    def test_names_what_it_does_not_know(self):
        for flag in ("--tset", "file", "--json"):
            process = run(flag)
            self.assertEqual(process.returncode, WRONG_USAGE)
            self.assertRegex(process.stderr, f"^gpu_check: {flag}: .*\n$")

    def test_lists_the_tests_of_every_part(self):
        process = run("--gtest_list_tests")
        self.assertEqual(process.returncode, RIGHT)
        if run("--tests", "--gtest_filter=none").stderr == "gpu_check: built without CUDA\n":
            self.skipTest("built without CUDA")
        suites = set(re.findall(r"^(\S+)\.$", process.stdout, re.MULTILINE))
        self.assertLessEqual({"All/RowTest", "All/RouterPropertyTest", "All/RouterBitsTest", "All/TieTest",
                              "All/BackwardContractTest", "All/BackwardGradientTest", "DeviceGraphTest",
                              "DeviceCountsTest", "DeviceCountingTest", "All/DeviceStrideTest",
                              "CudaNextStepTest", "CudaUpdateTest", "GpuTest", "NcclTest", "All/DeviceWorkerTest"},
                             suites)
        self.assertIn("/cuda ", process.stdout.replace("\n", " "))


class RunTest(unittest.TestCase):
    def test_without_a_gpu_says_so_in_a_line(self):
        process = run("--quick", "--gtest_filter=none")
        if process.returncode != NO_GPU:
            self.skipTest("there is a GPU")
        self.assertRegex(process.stderr, "^gpu_check: (there is no GPU to be used here: .+|built without CUDA)\n$")
        self.assertEqual(process.stdout, "")

    def test_on_a_gpu_its_quick_tests_pass(self):
        process = run("--tests", "--quick")
        if process.returncode == NO_GPU:
            self.skipTest(process.stderr.strip())
        self.assertEqual(process.returncode, RIGHT, process.stderr)


class PlainTest(unittest.TestCase):
    """On plain memory, where every GPU test can be run."""

    def test_everything_passes_and_the_results_say_so(self):
        process = run("--tests", "--quick", program=PLAIN)
        self.assertEqual(process.returncode, RIGHT, process.stderr)
        said = json.loads(process.stdout)
        self.assertEqual(said["machine"]["device"], "plain memory")
        self.assertEqual(said["tests"]["failed"], [])
        self.assertGreater(said["tests"]["passed"], 200)
        reasons = {each["name"]: each["reason"] for each in said["tests"]["skipped"]}
        self.assertIn("too great to copy", reasons["All/ShapeTest.ElementsBeyondTwoToTheThirtyOne/cuda"])
        self.assertIs(said["quick"], True)
        self.assertIs(said["right"], True)
        self.assertNotIn("benchmark", said)

    def test_results_go_to_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results.json"
            process = run("--tests", f"--json={results}", "--gtest_filter=*RowTest*", program=PLAIN)
            self.assertEqual(process.returncode, RIGHT, process.stderr)
            self.assertEqual(process.stdout, "")
            self.assertEqual(json.loads(results.read_text())["tests"]["passed"], 26)

    def test_results_that_cannot_be_written_are_a_mistake(self):
        process = run("--tests", "--json=/no/such/folder/x", "--gtest_filter=*RowTest*", program=PLAIN)
        self.assertEqual(process.returncode, WRONG_USAGE)
        self.assertIn("/no/such/folder/x", process.stderr)

    def test_a_filter_that_nothing_matches_is_a_mistake(self):
        process = run("--tests", "--gtest_filter=none", program=PLAIN)
        self.assertEqual(process.returncode, WRONG_USAGE)
        self.assertIs(json.loads(process.stdout)["right"], False)

    def test_the_benchmark_follows_tests_that_pass(self):
        process = run("--quick", "--gtest_filter=*RowTest*", program=PLAIN)
        self.assertEqual(process.returncode, RIGHT, process.stderr)
        said = json.loads(process.stdout)
        self.assertEqual(said["tests"]["passed"], 26)
        self.assertEqual(said["benchmark"]["records"], [{"what": "nothing"}])

    def test_a_benchmark_that_fails_is_a_failure_and_keeps_what_it_measured(self):
        process = run("--benchmark", "--python=x", program=PLAIN)
        self.assertEqual(process.returncode, FAILED)
        said = json.loads(process.stdout)
        self.assertEqual(said["benchmark"]["error"], "no x")
        self.assertEqual(said["benchmark"]["records"], [{"what": "nothing"}])
        self.assertIs(said["right"], False)
        self.assertNotIn("tests", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
