"""The licences of files that come from Debian packages."""

import re
import shutil
import subprocess
from pathlib import Path

# Where Debian keeps the long licences that its copyright files name.
COMMON = Path("/usr/share/common-licenses")


def packages_of(paths):
    """The packages that the files at `paths` are from."""
    paths = {str(Path(path).resolve()) for path in paths}
    # dpkg knows a file by the name it was packed under, which on a merged system may lack the /usr.
    names = [*paths, *(path.removeprefix("/usr") for path in paths)]
    answer = subprocess.run(["dpkg-query", "-S", *names], check=False, capture_output=True, text=True).stdout
    owners = {str(Path(path).resolve()): package for package, path in re.findall(r"(?m)^([^:\n]+).*: (.+)$", answer)}
    if paths - owners.keys():
        raise SystemExit(f"package: of no Debian package, so that its licence is unknown: {min(paths - owners.keys())}")
    return set(owners.values())


def copy_licences(paths, folder):
    """Copies into `folder` the copyright file of every package that `paths` are from, and what those files name."""
    folder.mkdir(parents=True)
    named = set()
    for package in sorted(packages_of(paths)):
        text = Path(f"/usr/share/doc/{package}/copyright").read_text(encoding="utf-8")
        named |= set(re.findall(rf"{COMMON}/([\w.-]*\w)", text))
        (folder / package).write_text(text, encoding="utf-8")
    (folder / "common-licenses").mkdir()
    for name in sorted(named):
        shutil.copy(COMMON / name, folder / "common-licenses" / name)
