"""Makes the tarball that users install, evenkeel-VERSION-linux-MACHINE.tar.gz.

  package.py --version_header FILE --out FOLDER PLACE=FILE...

Each FILE goes to the folder PLACE of the tarball. With them go the shared libraries that they load, which a user's
machine need not have, and the licences of those. The same files and libraries give the same bytes.
"""

import argparse
import gzip
import os
import platform
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

import elf
import licences

# The C and C++ runtimes. A process has one of each, which the user's own program brings: never ours.
RUNTIME = {
    "ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1",
    "libgcc_s.so.1", "libstdc++.so.6",
}
# 1980, the same for every file.
MODIFIED = 315532800


def read_version(header):
    return re.search(r'kLibraryVersion\[\] = "([\d.]+)"', Path(header).read_text(encoding="utf-8")).group(1)


def runpath(path, root):
    """Where the program or library at `path` finds the libraries of the tree at `root`, wherever that is."""
    return os.path.join("$ORIGIN", os.path.relpath(root / "lib", path.parent)).removesuffix("/.")


def place_file(source, folder, version):
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.name.removesuffix(".in")
    if source.suffix == ".in":
        target.write_text(source.read_text(encoding="utf-8").replace("@VERSION@", version), encoding="utf-8")
    else:
        shutil.copyfile(source, target)
    return target


def place_files(placed, root, version):
    """Our own files into the tree at `root`. Returns {name: path} of the libraries to carry with them."""
    libraries = {}
    for place, source in placed:
        target = place_file(Path(source), root / place, version)
        if elf.is_elf(target):
            libraries.update(elf.loaded_libraries(source))
            elf.strip(target)
            elf.set_runpath(target, runpath(target, root))
    (root / "lib/libevenkeel.so").symlink_to("libevenkeel.so.1")
    return {name: path for name, path in libraries.items() if name not in RUNTIME}


def carry(libraries, root):
    for name, path in sorted(libraries.items()):
        target = root / "lib" / name
        shutil.copyfile(path, target)
        elf.set_runpath(target, runpath(target, root))


def archive(root, path):
    """The tree at `root` as a .tar.gz, whose contents lie in a folder of the archive's name."""

    def entry(file, name):
        info = tar.gettarinfo(file, name)
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = MODIFIED
        executable = file.is_dir() or file.parent == root / "bin"
        info.mode = 0o755 if executable else 0o644
        return info

    top = path.name.removesuffix(".tar.gz")
    with open(path, "wb") as out, gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as zipped:
        with tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for file in sorted(root.rglob("*"), key=str):
                info = entry(file, f"{top}/{file.relative_to(root)}")
                if info.isreg():
                    with open(file, "rb") as contents:
                        tar.addfile(info, contents)
                else:
                    tar.addfile(info)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version_header", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("placed", nargs="+", type=lambda word: word.split("=", 1))
    options = parser.parse_args()

    version = read_version(options.version_header)
    with tempfile.TemporaryDirectory(dir=options.out) as staging:
        root = Path(staging)
        libraries = place_files(options.placed, root, version)
        carry(libraries, root)
        licences.copy_licences(libraries.values(), root / "share/doc/evenkeel/copyright")
        archive(root, options.out / f"evenkeel-{version}-linux-{platform.machine()}.tar.gz")


if __name__ == "__main__":
    main()
