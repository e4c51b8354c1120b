"""Programs and shared libraries: what they load, and where they look for it. Uses ldd, strip and patchelf."""

import re
import subprocess


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def loaded_libraries(path):
    """{name: path} of every shared library that the program or library at `path` loads, directly or by another."""
    output = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    libraries = {}
    for line in output.splitlines():
        found = re.fullmatch(r"\t(\S+) => (not found|/\S+)( \(0x[0-9a-f]+\))?", line)
        if not found:
            continue
        if found.group(2) == "not found":
            raise SystemExit(f"package: {path} needs {found.group(1)}, which is not on this machine")
        libraries[found.group(1)] = found.group(2)
    return libraries


def strip(path):
    subprocess.run(["strip", "--strip-unneeded", path], check=True)


def set_runpath(path, runpath):
    """Makes `runpath` the only place of its own where `path` looks for libraries."""
    try:
        subprocess.run(["patchelf", "--set-rpath", runpath, path], check=True)
    except FileNotFoundError:
        raise SystemExit("package: patchelf is not installed; run deploy/setup.sh") from None
