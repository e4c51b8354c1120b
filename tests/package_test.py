"""The tarball that users install: what is in it, that it brings what it needs, and that workers built against it train
on a system that has a compiler and nothing of what Evenkeel is made of."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

import case_report
import stock_system

RUNFILES = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
TARBALL = next((RUNFILES / "deploy/package/tarball").iterdir())
VERSION = re.fullmatch(r"evenkeel-(\d+\.\d+\.\d+)-linux-x86_64\.tar\.gz", TARBALL.name).group(1)
TOP = f"evenkeel-{VERSION}-linux-x86_64"

# What the tarball leaves to the system: the C and C++ runtimes.
FROM_THE_SYSTEM = {"ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6"}

OURS = {
    "bin/evenkeel", "bin/evenkeeld",
    "include/evenkeel/evenkeel.h", "include/evenkeel/options.h",
    "include/evenkeel/status.h", "include/evenkeel/worker.h",
    "lib/cmake/evenkeel/evenkeelConfig.cmake", "lib/cmake/evenkeel/evenkeelConfigVersion.cmake",
    "lib/libevenkeel.so", "lib/libevenkeel.so.1", "lib/pkgconfig/evenkeel.pc",
    "share/doc/evenkeel/README.md",
    "share/doc/evenkeel/examples/c_worker.c", "share/doc/evenkeel/examples/minimal_worker.cc",
}


def unpack(folder):
    """Unpacks the tarball into `folder` and returns where it now stands."""
    with tarfile.open(TARBALL) as tar:
        tar.extractall(folder)
    return folder / TOP


def new_folder():
    return Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))


def skip_if_sanitized(prefix):
    """A sanitizer's runtime must come first in a process: nobody installs a library that was built with one."""
    if any(prefix.glob("lib/lib?san.so.*")) or any(prefix.glob("lib/libubsan.so.*")):
        raise unittest.SkipTest("built with a sanitizer")


def ask_readelf(option, file):
    return subprocess.run(["readelf", "-W", option, file], check=True, capture_output=True, text=True).stdout


class ContentsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = new_folder()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.prefix = unpack(folder)
        skip_if_sanitized(cls.prefix)
        cls.files = {str(path.relative_to(cls.prefix)) for path in cls.prefix.rglob("*") if not path.is_dir()}
        cls.carried = {Path(name).name for name in cls.files - OURS if re.fullmatch(r"lib/lib[^/]*\.so\.[^/]*", name)}
        cls.programs = [cls.prefix / name for name in cls.files
                        if not (cls.prefix / name).is_symlink() and (cls.prefix / name).read_bytes()[:4] == b"\x7fELF"]

    def test_has_our_files_libraries_and_their_licences(self):
        self.assertEqual(OURS - self.files, set())
        licences = {name for name in self.files if name.startswith("share/doc/evenkeel/copyright/")}
        self.assertEqual(self.files - OURS, licences | {f"lib/{name}" for name in self.carried})
        self.assertEqual(os.readlink(self.prefix / "lib/libevenkeel.so"), "libevenkeel.so.1")
        for path in sorted(OURS):
            if path.startswith("include/"):
                self.assertEqual((self.prefix / path).read_bytes(), (RUNFILES / "client" / path).read_bytes(), path)

    def test_every_carried_library_has_its_licence(self):
        copyright_folder = self.prefix / "share/doc/evenkeel/copyright"
        answer = subprocess.run(["dpkg-query", "-S", *(f"*/{name}" for name in self.carried)],
                                check=True, capture_output=True, text=True).stdout
        packages = {}
        for package, path in re.findall(r"^([^:\n]+).*: (.+)$", answer, re.MULTILINE):
            packages.setdefault(Path(path).name, []).append(package)
        for name in sorted(self.carried):
            self.assertTrue(any((copyright_folder / package).is_file() for package in packages[name]), name)
        for text in copyright_folder.iterdir():
            if text.is_file():
                for named in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text.read_text(encoding="utf-8")):
                    self.assertTrue((copyright_folder / "common-licenses" / named).is_file(), (text, named))

    def test_brings_what_it_needs(self):
        self.assertEqual(len(self.programs), len(self.carried) + 3)
        for program in self.programs:
            dynamic = ask_readelf("-d", program)
            needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
            self.assertEqual(needed - self.carried - FROM_THE_SYSTEM, set(), program)
            runpath = "$ORIGIN/../lib" if program.parent.name == "bin" else "$ORIGIN"
            self.assertEqual(re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", dynamic), [runpath], program)
            if program.parent.name == "lib":
                self.assertEqual(re.findall(r"\(SONAME\).*\[(.*)\]", dynamic), [program.name])

    def test_needs_no_newer_runtimes_than_the_readme_says(self):
        versions = "".join(ask_readelf("-V", program) for program in self.programs)
        readme = (self.prefix / "share/doc/evenkeel/README.md").read_text(encoding="utf-8")

        def newest(symbols):
            return max(tuple(map(int, found.split("."))) for found in re.findall(rf"\b{symbols}_([\d.]+)", versions))

        self.assertIn("glibc %d.%d " % newest("GLIBC"), readme)
        # GCC 12 brought GLIBCXX_3.4.30.
        self.assertEqual(newest("GLIBCXX"), (3, 4, 30))
        self.assertIn("libstdc++ of GCC 12,", readme)
        self.assertIn(f"# Evenkeel {VERSION}\n", readme)

    def test_two_builds_are_the_same_bytes(self):
        again = RUNFILES / "deploy/package/tarball_again" / TARBALL.name
        self.assertTrue(TARBALL.read_bytes() == again.read_bytes(), "their bytes differ")

    def test_entries_have_one_owner_one_time_and_an_order(self):
        with tarfile.open(TARBALL) as tar:
            entries = tar.getmembers()
        self.assertEqual([entry.name for entry in entries], sorted(entry.name for entry in entries))
        owners = {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries}
        self.assertEqual(owners, {(0, 0, "root", "root")})
        self.assertEqual(len({entry.mtime for entry in entries}), 1)
        self.assertEqual({entry.mode for entry in entries if not entry.issym()}, {0o644, 0o755})


# For a project of a user's, in which `worker` is the program.
CMAKE_PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(user LANGUAGES {language})
find_package(evenkeel {version} REQUIRED)
add_executable(worker {source})
target_link_libraries(worker PRIVATE evenkeel::evenkeel)
"""

# What every script begins with. The tarball stands where no tool looks by itself.
BEGIN = f"""
prefix=/user/{TOP}
export EXAMPLES=$prefix/share/doc/evenkeel/examples
"""

START_COORDINATOR = """
state=$(mktemp -d)
$prefix/bin/evenkeeld --state_dir $state --ready_file $state/ready.json 2>$state/log &
coordinator=$!
until [ -s $state/ready.json ]; do
  kill -0 $coordinator || { cat $state/log; exit 1; }
  sleep 0.05
done
"""

STOP_COORDINATOR = """
kill -TERM $coordinator
wait $coordinator
"""


class StockSystemTest(unittest.TestCase):
    """In a system with a compiler, CMake and pkg-config, which has no package that Evenkeel is built from."""

    @classmethod
    def setUpClass(cls):
        cls.root = new_folder()
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.prefix = unpack(cls.root / "user")
        skip_if_sanitized(cls.prefix)
        stock_system.make(cls.root, ["g++", "cmake", "make", "pkg-config"])
        try:
            cls.system = stock_system.StockSystem(cls.root)
        except OSError as reason:
            raise unittest.SkipTest(str(reason)) from None

    def write(self, path, text):
        """Writes a file of the system's."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def run_script(self, *parts):
        result = self.system.run(BEGIN + "".join(parts))
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def failing_script(self, *parts):
        result = self.system.run(BEGIN + "".join(parts))
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def test_system_has_nothing_that_evenkeel_is_made_of(self):
        known = set(re.findall(r"^\t(\S+) \(", self.run_script("ldconfig -p"), re.MULTILINE))
        self.assertIn("libc.so.6", known)
        carried = {path.name for path in self.prefix.glob("lib/*.so.*")}
        for library in ("libgrpc++", "libgrpc", "libprotobuf", "libabsl_status", "libgloo", "libyaml-cpp"):
            self.assertTrue(any(name.startswith(f"{library}.so.") for name in carried), library)
        # CMake can download, and depends on these for that.
        self.assertEqual(known & carried - {"libssl.so.3", "libcrypto.so.3", "libz.so.1"}, set())
        for header in ("absl", "grpcpp", "google/protobuf", "gloo", "hwy", "evenkeel"):
            self.assertFalse((self.root / "usr/include" / header).exists(), header)

    def test_everything_is_loaded_from_the_tarball(self):
        output = self.run_script("ldd $prefix/bin/* $prefix/lib/libevenkeel.so")
        self.assertNotIn("not found", output)
        for name, place in re.findall(r"^\t(\S+) => (\S+) \(", output, re.MULTILINE):
            self.assertEqual(place.startswith("/user/"), name not in FROM_THE_SYSTEM, (name, place))

    def test_cmake_finds_nothing_without_it(self):
        self.write("without/CMakeLists.txt", CMAKE_PROJECT.format(language="CXX", version="", source="worker.cc"))
        self.assertIn("evenkeelConfig.cmake", self.failing_script("cmake -S /without -B /without/build"))
        self.assertIn("evenkeel", self.failing_script("pkg-config --libs evenkeel"))

    def test_cmake_refuses_it_where_a_newer_one_is_asked_for(self):
        self.write("newer/CMakeLists.txt", CMAKE_PROJECT.format(language="CXX", version="1000", source="worker.cc"))
        output = self.failing_script("cmake -S /newer -B /newer/build -DCMAKE_PREFIX_PATH=$prefix")
        self.assertIn(f"version: {VERSION}", output)

    def test_a_worker_built_by_cmake_trains(self):
        self.write("cmake/CMakeLists.txt", CMAKE_PROJECT.format(
            language="CXX", version=VERSION, source="$ENV{EXAMPLES}/minimal_worker.cc"))
        output = self.run_script(
            """
            cmake -S /cmake -B /cmake/build -DCMAKE_PREFIX_PATH=$prefix
            cmake --build /cmake/build --verbose
            """,
            START_COORDINATOR,
            """
            /cmake/build/worker
            $prefix/bin/evenkeel status
            """,
            STOP_COORDINATOR)
        self.assertRegex(output, r"(?m)^ *my-run +1 +10\b")

    def test_a_worker_in_c_built_by_cmake_alone(self):
        self.write("c/CMakeLists.txt", CMAKE_PROJECT.format(
            language="C", version=VERSION, source="$ENV{EXAMPLES}/c_worker.c"))
        self.run_script("cmake -S /c -B /c/build -DCMAKE_PREFIX_PATH=$prefix; cmake --build /c/build")

    def test_a_worker_built_by_pkg_config_trains_with_a_tree_that_was_moved(self):
        output = self.run_script(
            """
            export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
            gcc -std=c11 -o /user/c_worker $EXAMPLES/c_worker.c $(pkg-config --cflags --libs evenkeel) \\
              -Wl,-rpath,'$ORIGIN/moved/lib'
            cp -r $prefix /user/moved
            prefix=/user/moved
            ldd /user/c_worker
            """,
            START_COORDINATOR,
            """
            /user/c_worker 127.0.0.1:7411 one 20
            /user/c_worker 127.0.0.1:7411 two 20
            $prefix/bin/evenkeel status
            """,
            STOP_COORDINATOR)
        self.assertIn("/user/moved/lib/libevenkeel.so.1", output)
        self.assertNotIn(TOP, output)
        hashes = re.findall(r"^step 20 bias ([0-9a-f]{16})$", output, re.MULTILINE)
        self.assertEqual(len(hashes), 2, output)
        self.assertEqual(hashes[0], hashes[1])
        for job in ("one", "two"):
            self.assertRegex(output, rf"(?m)^ *{job} +1 +20\b")

    def test_a_library_is_found_nowhere_else(self):
        output = self.failing_script(
            """
            cp -r $prefix /incomplete
            rm /incomplete/lib/libgrpc++.so.*
            /incomplete/bin/evenkeeld --help
            """)
        self.assertIn("error while loading shared libraries: libgrpc++.so", output)

    def test_the_systems_own_takes_the_place_of_one_that_is_removed(self):
        output = self.run_script(
            """
            cp -r $prefix /reduced
            rm /reduced/lib/libssl.so.3 /reduced/lib/libcrypto.so.3
            ldd /reduced/bin/evenkeel
            /reduced/bin/evenkeel --help
            """)
        self.assertRegex(output, r"\tlibssl\.so\.3 => /lib/")


if __name__ == "__main__":
    case_report.main()
