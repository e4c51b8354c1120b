"""A live run to look at: coordinators, workers that push to them, and a Prometheus that scrapes them every second. Whoever
starts something here has it stopped by `stop`."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
from pathlib import Path

import yaml

RUNFILES = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
EVENKEELD = RUNFILES / "server/evenkeeld"
WORKER = RUNFILES / "client/examples/text_worker"
DEADLINE_SECONDS = 150


def await_truth(what, condition):
    """Asks until `condition()` is true, and returns what it was; AssertionError that names `what` when it never is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        truth = condition()
        if truth:
            return truth
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {DEADLINE_SECONDS} s for {what}")
        time.sleep(0.1)


def get(address, path, **parameters):
    """(status, body) of what is at http://address/path."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Program:
    """A child process whose output is a file."""

    def __init__(self, command, log, **options):
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, **options)

    def check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.log.read_text()}")

    def stop(self, signal_number=signal.SIGTERM):
        """Ends it, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(timeout=60)


class Coordinator(Program):
    """One evenkeeld. `folder` is its own, and where its log goes."""

    def __init__(self, folder, arguments):
        ready = folder / "ready.json"
        super().__init__([EVENKEELD, *arguments, f"--ready_file={ready}"], folder / "log")
        await_truth("evenkeeld", lambda: self.check_alive() or ready.exists())
        addresses = json.loads(ready.read_text())
        self.address, self.metrics = addresses["grpc"], addresses["metrics"]


def start_coordinator(folder, config):
    """On free ports; `config` is what its configuration has besides."""
    folder.mkdir()
    settings = {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "state_dir": str(folder / "state"), **config}
    (folder / "evenkeeld.yaml").write_text(yaml.safe_dump(settings))
    return Coordinator(folder, [f"--config={folder}/evenkeeld.yaml"])


def start_workers(coordinator, job, count, folder):
    """`count` workers that train on job `job` until they are stopped."""
    return [Program([WORKER, f"--coordinator={coordinator.address}", f"--job={job}", f"--rank={rank}",
                     f"--world-size={count}", "--layers=3", "--experts=16", "--top-k=2", "--tokens=512", "--synthetic",
                     "--steps=100000000", "--device=cpu"], folder / f"{job}-{rank}.log") for rank in range(count)]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus(Program):
    """Debian's, with the scrape configuration of deploy/, but for the addresses and a second in place of each interval."""

    def __init__(self, folder, example, rule_files, targets):
        folder.mkdir()
        config = yaml.safe_load(example.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(path) for path in rule_files]
        for scrape in config["scrape_configs"]:
            scrape["scrape_interval"] = "1s"
            scrape["static_configs"] = [{"targets": targets}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        # The port may be taken between the two: another then.
        for _ in range(5):
            self.address = f"127.0.0.1:{free_port()}"
            super().__init__(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                              f"--web.listen-address={self.address}"], folder / "log")
            if await_truth("Prometheus", lambda: self.process.poll() is not None or self.is_ready()) and self.is_ready():
                return
        raise AssertionError(f"Prometheus does not start:\n{self.log.read_text()}")

    def is_ready(self):
        try:
            return get(self.address, "/-/ready")[0] == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """What its HTTP API answers; AssertionError with its words when that is an error."""
        status, body = get(self.address, f"/api/v1/{path}", **parameters)
        answer = json.loads(body)
        if status != 200 or answer["status"] != "success":
            raise AssertionError(f"{parameters}: {answer.get('error', body)}")
        return answer["data"]

    def now(self, expression):
        """The series of `expression`, as they are."""
        return self.ask("query", query=expression)["result"]

    def lately(self, expression):
        """The series of `expression` over the last half minute."""
        end = time.time()
        return self.ask("query_range", query=expression, start=end - 30, end=end, step=1)["result"]
