"""A Linux system that has some Debian packages of this machine, what those depend on, and nothing else.

It is a folder of copied files, entered by chroot in namespaces of its own: its processes see no other file, no other
process and no network but their own loopback, and are gone when the command ends.
"""

import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

_STATUS = Path("/var/lib/dpkg/status")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_NEVER_RUN = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/")
_NAMESPACES = ["--mount", "--pid", "--net", "--fork", "--kill-child"]
# As root, and as whoever may make namespaces without being root.
_WAYS = [["unshare", *_NAMESPACES], ["unshare", "--user", "--map-root-user", *_NAMESPACES]]
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/", "LC_ALL": "C"}


def _names(field):
    """The packages that a field like 'a (>= 1), b | c:any' names."""
    return [re.split(r"[ :(]", name.strip())[0] for name in re.split(r"[,|]", field) if name.strip()]


def with_dependencies(packages):
    """The installed ones of `packages`, those that every system has, and of what they depend on."""
    dependencies, providers, essential = {}, {}, []
    for paragraph in _STATUS.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name = fields["Package"]
        dependencies[name] = _names(fields.get("Depends", "")) + _names(fields.get("Pre-Depends", ""))
        for provided in _names(fields.get("Provides", "")):
            providers.setdefault(provided, []).append(name)
        if fields.get("Essential") == "yes":
            essential.append(name)

    chosen, waiting = set(), [*packages, *essential]
    while waiting:
        name = waiting.pop()
        if name in dependencies and name not in chosen:
            chosen.add(name)
            waiting += dependencies[name]
        waiting += providers.pop(name, [])
    return sorted(chosen)


def _copy(path, root):
    target = root / path.lstrip("/")
    if os.path.islink(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(target):
            target.symlink_to(os.readlink(path))
    elif os.path.isfile(path) and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def make(root, packages):
    """Fills the folder `root` with the files of `packages` and of all that they depend on."""
    for link, target in _LINKS.items():
        (root / target).mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    for folder in ("dev", "proc", "tmp", "etc"):
        (root / folder).mkdir()
    listing = subprocess.run(
        ["dpkg-query", "-L", *with_dependencies(packages)], check=True, capture_output=True, text=True
    ).stdout
    for path in listing.splitlines():
        if path.startswith("/") and path.lstrip("/") not in _LINKS and not path.startswith(_NEVER_RUN):
            _copy(path, root)
    subprocess.run(["/sbin/ldconfig", "-r", root], check=True)


def _enter(root, command):
    """Becomes `command` in `root`; the namespaces are this process's own already."""
    subprocess.run(["mount", "--rbind", "/dev", f"{root}/dev"], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
    with socket.socket() as any_socket:  # ifreq of `lo`, with IFF_UP | IFF_RUNNING, to SIOCSIFFLAGS
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
    os.chroot(root)
    os.chdir("/")
    os.execve(command[0], command, _ENVIRONMENT)


def _run(way, root, command):
    return subprocess.run(
        [*way, sys.executable, "-B", __file__, root, *command],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )


class StockSystem:
    """The system in the folder `root`, which make() has filled. OSError with the reason where it cannot be entered."""

    def __init__(self, root):
        self.root = root
        for self._way in _WAYS:
            tried = _run(self._way, root, ["/bin/true"])
            if tried.returncode == 0:
                return
        raise OSError(f"a system of its own cannot be entered here: {tried.stdout.strip()}")

    def run(self, script):
        """What bash makes of `script` in it: a CompletedProcess whose stdout has stderr too."""
        return _run(self._way, self.root, ["/bin/bash", "-euo", "pipefail", "-c", script])


if __name__ == "__main__":
    _enter(sys.argv[1], sys.argv[2:])
