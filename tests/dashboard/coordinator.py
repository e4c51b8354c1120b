"""A real evenkeeld on loopback, and real workers that push to it what a made-up router counts."""

import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

BINARIES = Path(os.environ["TEST_SRCDIR"]) / "evenkeel" if "TEST_SRCDIR" in os.environ else Path("bazel-bin")


class Coordinator:
    """Its own state directory; the addresses stay when it is started again."""

    def __init__(self, *flags):
        self.folder = Path(tempfile.mkdtemp(prefix="coordinator", dir=os.environ.get("TEST_TMPDIR")))
        self.flags = flags
        self.grpc = self.http = "127.0.0.1:0"
        self.workers = []
        self.start()

    def start(self):
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [BINARIES / "server/evenkeeld", f"--state_dir={self.folder}/state", f"--listen={self.grpc}",
                 f"--metrics_listen={self.http}", f"--ready_file={ready}", *self.flags], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.01)
        addresses = json.loads(ready.read_text())
        self.grpc, self.http = addresses["grpc"], addresses["metrics"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def work(self, job, layers, experts, top_k, steps, tokens=512, rank=0, world_size=1):
        """Starts a worker, which ends after its steps."""
        with open(self.folder / "workers.log", "ab") as log:
            worker = subprocess.Popen(
                ["nice", BINARIES / "client/examples/text_worker", f"--coordinator={self.grpc}", f"--job={job}",
                 f"--rank={rank}", f"--world-size={world_size}", f"--steps={steps}", "--synthetic",
                 f"--layers={layers}", f"--experts={experts}", f"--top-k={top_k}", f"--tokens={tokens}",
                 "--skew=0.6", "--drift=0.002", "--seed=7", "--device=cpu", "--json"],
                stdout=subprocess.DEVNULL, stderr=log)
        self.workers.append(worker)
        return worker

    def get(self, path, token=None):
        """(HTTP status, JSON) of the API's answer; the rest of `path` is as it is."""
        request = urllib.request.Request(f"http://{self.http}/api/v1/{path}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def job(self, name, rest=""):
        status, answer = self.get(f"jobs/{urllib.parse.quote(name, safe='')}{rest}")
        assert status == 200, answer
        return answer

    def page(self, job=None):
        """The address of the page, or of a job's."""
        return f"http://{self.http}/" + (f"#/job/{urllib.parse.quote(job, safe='')}" if job else "")

    def close(self):
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.kill()
