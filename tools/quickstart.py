"""Runs one coordinator and a few workers on this machine and shows the experts becoming evenly loaded.

Called by quickstart.sh, which builds the programs first. Uses nothing but Python's standard library.
"""

import argparse
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARIES = Path(os.environ.get("EVENKEEL_BINARIES", ROOT / "bazel-bin"))
EVENKEELD = BINARIES / "server/evenkeeld"
TEXT_WORKER = BINARIES / "client/examples/text_worker"
EVENKEEL = BINARIES / "tools/evenkeel"
JOB = "quickstart"
TAIL_STEPS = 20


class RunFailed(Exception):
    """The run cannot go on; the message is for the person who started it."""


class Coordinator:
    """One evenkeeld, which may be killed and started again on the same port and the same state."""

    def __init__(self, folder):
        self.state = folder / "state"
        self.record = folder / "record"
        self.log = folder / "evenkeeld.log"
        self.ready_file = folder / "ready.json"
        self.address = "127.0.0.1:0"
        self.metrics = "127.0.0.1:0"
        self.process = None

    def start(self):
        self.ready_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [
                    EVENKEELD,
                    f"--state_dir={self.state}",
                    f"--record={self.record}",
                    f"--listen={self.address}",
                    f"--metrics_listen={self.metrics}",
                    f"--ready_file={self.ready_file}",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self.ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RunFailed(f"evenkeeld did not start; its log is {self.log}:\n{self.log.read_text()}")
            time.sleep(0.01)
        ready = json.loads(self.ready_file.read_text())
        self.address, self.metrics = ready["grpc"], ready["metrics"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def describe(self):
        """What the coordinator says of the job: DescribeJobResponse as protobuf JSON."""
        answer = subprocess.run(
            [EVENKEEL, "status", f"--coordinator={self.address}", f"--job={JOB}", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            raise RunFailed(f"evenkeel status failed: {answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def pushed(self):
        """The contributors that have pushed the open step."""
        return {entry.get("contributor", 0) for entry in self.describe()["contributors"] if entry.get("pushed")}


class Worker:
    """One text_worker; its events arrive in `events` as (contributor, event), and (contributor, None) at its end."""

    def __init__(self, contributor, arguments, coordinator, folder, events):
        self.contributor = contributor
        self.log = folder / f"worker{contributor}.log"
        command = [
            TEXT_WORKER,
            f"--coordinator={coordinator.address}",
            f"--job={JOB}",
            f"--rank={contributor}",
            f"--world-size={arguments.workers}",
            f"--steps={arguments.steps}",
            "--json",
        ]
        for path in arguments.text:
            command += ["--text", path]
        if arguments.synthetic:
            command.append("--synthetic")
        command.append(f"--device={arguments.device}")
        command += [f"{flag}={getattr(arguments, name)}" for flag, name in made_up_flags(arguments)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        self.reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        self.reader.start()

    def _read(self, events):
        for line in self.process.stdout:
            events.put((self.contributor, json.loads(line)))
        events.put((self.contributor, None))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()


class Progress:
    """The line that tells where the run is: rewritten in place on a terminal, every so often elsewhere."""

    def __init__(self, steps):
        self.steps = steps
        self.start = time.monotonic()
        self.tokens = 0
        self.live = sys.stderr.isatty()

    def step(self, event):
        self.tokens += event["tokens"]
        rate = self.tokens / max(time.monotonic() - self.start, 1e-9)
        line = (
            f"step {event['step']:>4}/{self.steps}   maximum violation {event['max_violation']:6.3f}   "
            f"{rate:>9,.0f} tokens/s"
        )
        if self.live:
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif event["step"] == 1 or event["step"] % 20 == 0 or event["step"] == self.steps:
            print(line, file=sys.stderr, flush=True)

    def note(self, text):
        print(("\n" if self.live else "") + text, file=sys.stderr, flush=True)

    def end(self):
        if self.live:
            print(file=sys.stderr)


class Run:
    """One run from the first process to the report."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.coordinator = Coordinator(folder)
        self.workers = []
        self.events = queue.Queue()
        self.steps = []  # worker 0's step events, in order
        self.hashes = {}  # step -> the bias hash that the first worker told
        self.final = {}  # contributor -> bias hash at its end
        self.restarts = 0

    def start(self):
        self.coordinator.start()
        for contributor in range(self.arguments.workers):
            self.workers.append(
                Worker(contributor, self.arguments, self.coordinator, self.folder, self.events)
            )

    def follow(self, progress):
        """Reads events until every worker has ended."""
        running = len(self.workers)
        while running > 0:
            contributor, event = self.events.get()
            if event is None:
                running -= 1
                self._check_end(self.workers[contributor])
            elif event["event"] == "begin":
                if event["step"] == self.arguments.kill_coordinator_at and self._is_victim(contributor):
                    self._kill_mid_step(self.workers[contributor], progress)
            elif event["event"] == "step":
                self._check_hash(contributor, event)
                if contributor == 0:
                    self.steps.append(event)
                    progress.step(event)
            elif event["event"] == "done":
                self.final[contributor] = event["bias_hash"]
        if len(set(self.final.values())) != 1 or len(self.final) != len(self.workers):
            raise RunFailed(f"the workers do not end with one bias: {self.final}")

    def _check_end(self, worker):
        if worker.process.wait() != 0:
            raise RunFailed(f"worker {worker.contributor} failed:\n{worker.log.read_text().strip()}")

    def _check_hash(self, contributor, event):
        expected = self.hashes.setdefault(event["step"], event["bias_hash"])
        if event["bias_hash"] != expected:
            raise RunFailed(
                f"worker {contributor} has bias {event['bias_hash']} after step {event['step']}, others {expected}"
            )

    def _is_victim(self, contributor):
        return contributor == len(self.workers) - 1 and self.restarts == 0

    def _kill_mid_step(self, held, progress):
        """Holds one worker back until others have pushed, so that the coordinator dies with the step half counted."""
        held.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 30
        pushed = set()
        while len(self.workers) > 1 and not pushed:
            pushed = self.coordinator.pushed()
            if time.monotonic() > deadline:
                raise RunFailed(f"nobody pushed step {self.arguments.kill_coordinator_at} within 30 s")
        self.coordinator.kill()
        progress.note(
            f"killed the coordinator (SIGKILL) in step {self.arguments.kill_coordinator_at}, "
            f"{len(pushed)} of {len(self.workers)} workers counted; starting it again"
        )
        self.restarts += 1
        self.coordinator.start()
        held.process.send_signal(signal.SIGCONT)

    def stop(self):
        for worker in self.workers:
            worker.stop()
        self.coordinator.stop()

    def report(self, seconds):
        tail = self.steps[-TAIL_STEPS:]
        layers = self.coordinator.describe()["layers"]
        return {
            "steps": len(self.steps),
            "workers": len(self.workers),
            "layers": len(layers),
            "experts": layers[0]["num_experts"],
            "top_k": layers[0]["top_k"],
            "tokens_total": sum(event["tokens"] for event in self.steps),
            "max_violation_first": self.steps[0]["max_violation"],
            "max_violation_tail": statistics.fmean(event["max_violation"] for event in tail),
            "commit_seconds_p50": statistics.median(event["commit_seconds"] for event in self.steps),
            "coordinator_restarts": self.restarts,
            "bias_hash": self.final[0],
            "duration_seconds": seconds,
        }

    def pictures(self):
        """Writes the report of the run, a page of its own, and returns its path."""
        page = self.folder / "report.html"
        deadline = time.monotonic() + 10
        while True:
            answer = subprocess.run(
                [EVENKEEL, "report", f"--record={self.coordinator.record}", f"--job={JOB}", f"--out={page}"],
                capture_output=True,
                text=True,
                check=False,
            )
            # The record is written behind the commits: the last may be on its way.
            if f" after step {len(self.steps)} " in answer.stdout:
                return page
            if time.monotonic() > deadline:
                raise RunFailed(f"evenkeel report: {answer.stderr.strip() or answer.stdout.strip()}")
            time.sleep(0.05)

    def table(self):
        tail = self.steps[-TAIL_STEPS:]
        lines = ["", f"layer   maximum violation at step 1   mean of the last {len(tail)} steps"]
        for layer, before in enumerate(self.steps[0]["layer_max_violation"]):
            after = statistics.fmean(event["layer_max_violation"][layer] for event in tail)
            lines.append(f"{layer:>5}   {before:>27.3f}   {after:>27.3f}")
        return "\n".join(lines)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def number(largest, of=float):
    """An argument type: 0 to `largest`."""

    def parse(text):
        if 0 <= of(text) <= largest:
            return text
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {largest}")

    return parse


def device(text):
    """An argument type: where workers route. The worker checks it against what is there."""
    if text in ("auto", "cpu") or (text.isdecimal() and int(text) < 1024):
        return text
    raise argparse.ArgumentTypeError(f"{text} is not auto, cpu or the number of a GPU")


# What --synthetic may be followed by: flag, metavar, type, help. The worker's flags of the same names.
MADE_UP = [
    ("--skew", "SD", number(1000), "how much more some experts are wanted than others; 0 is even (default 1)"),
    ("--drift", "CYCLES", number(1), "how fast that changes, in cycles per step (default 0)"),
    ("--dead-experts", "N", number(58, int), "experts that win no token until their bias lifts them (default 0)"),
    ("--padding", "SHARE", number(1), "tokens that are padding, and not counted (default 0)"),
]


def made_up_flags(arguments):
    """(flag, name of the attribute) of those of MADE_UP that were given."""
    names = [(flag, flag[2:].replace("-", "_")) for flag, _, _, _ in MADE_UP]
    return [(flag, name) for flag, name in names if getattr(arguments, name) is not None]


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="quickstart.sh",
        description="Starts the coordinator and workers that route real text through mixture-of-experts routers, and "
        "shows the experts becoming evenly loaded. Maximum violation is (largest count - mean) / mean: 0 is even.",
        epilog="example: ./quickstart.sh --workers 4 --steps 200 --kill-coordinator-at 80 --report report.json",
    )
    parser.add_argument("--workers", type=positive, default=4, metavar="N", help="worker processes (default 4)")
    parser.add_argument("--steps", type=positive, default=200, metavar="N", help="optimizer steps (default 200)")
    parser.add_argument(
        "--text", nargs="+", default=[], metavar="PATH",
        help="files or folders to read (default: Debian's common licences)",
    )
    parser.add_argument(
        "--synthetic", action="store_true",
        help="made-up router logits in place of text, as uneven as the next four say",
    )
    for flag, metavar, of, text in MADE_UP:
        parser.add_argument(flag, metavar=metavar, type=of, help=text)
    parser.add_argument(
        "--device", type=device, default="auto", metavar="N|cpu|auto",
        help="a GPU by its number, or the processor, for all workers (default auto: GPU 0 where there is one)",
    )
    parser.add_argument(
        "--folder", metavar="DIR", help="where logs and state go, a new folder (default: .run/ with the time)"
    )
    parser.add_argument("--report", metavar="FILE", help="write the figures of the run as JSON")
    parser.add_argument(
        "--kill-coordinator-at", type=positive, metavar="STEP",
        help="kill the coordinator in the middle of this step and start it again: the outcome is the same",
    )
    parser.add_argument(
        "--keep-running", action="store_true",
        help="leave coordinator and web page up after the last step, until Ctrl-C",
    )
    arguments = parser.parse_args()
    if arguments.kill_coordinator_at and arguments.kill_coordinator_at > arguments.steps:
        parser.error(f"--kill-coordinator-at {arguments.kill_coordinator_at} is beyond --steps {arguments.steps}")
    if arguments.synthetic and arguments.text:
        parser.error("--text has no meaning with --synthetic")
    for flag, name in made_up_flags(arguments):
        if not arguments.synthetic:
            parser.error(f"{flag} {getattr(arguments, name)} has no meaning without --synthetic")
    for path in arguments.text:
        if not os.path.exists(path):
            parser.error(f"--text {path} does not exist")
    return arguments


def new_folder(asked_for):
    folder = Path(asked_for or ROOT / ".run" / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunFailed(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder


def write_report(path, report):
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
    os.replace(temporary, path)


def execute(run, arguments):
    start = time.monotonic()
    progress = Progress(arguments.steps)
    run.start()
    print(
        f"quickstart: coordinator on {run.coordinator.address}, {arguments.workers} workers, "
        f"logs in {run.folder}",
        file=sys.stderr,
    )
    run.follow(progress)
    progress.end()
    report = run.report(time.monotonic() - start)
    print(run.table())
    print(
        f"\nmaximum violation {report['max_violation_first']:.3f} -> {report['max_violation_tail']:.3f} "
        f"(layer mean; first step, last {min(TAIL_STEPS, report['steps'])})   "
        f"bias hash {report['bias_hash']} on all {report['workers']} workers\n"
        f"commit p50 {report['commit_seconds_p50'] * 1e3:.1f} ms (from a worker's commit to the new bias, waiting for "
        f"the others included)   restarts {report['coordinator_restarts']}   {report['duration_seconds']:.1f} s"
    )
    if arguments.report:
        write_report(arguments.report, report)
        print(f"report   {arguments.report}")
    print(f"pictures {run.pictures()}  (open it in a browser)")
    print(f"state    {run.coordinator.state}")
    print(f"page     http://{run.coordinator.metrics}  (and /metrics)" + ("" if arguments.keep_running else
          "  (ends with this run; --keep-running leaves it up)"))
    if arguments.keep_running:
        print("Ctrl-C ends it.", flush=True)
        signal.pause()


def interrupted(number, frame):
    raise KeyboardInterrupt


def main():
    arguments = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    run = None
    try:
        run = Run(arguments, new_folder(arguments.folder))
        execute(run, arguments)
    except RunFailed as failure:
        print(f"\nquickstart: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nquickstart: stopped", file=sys.stderr)
        return 0 if arguments.keep_running and run and run.final else 130
    finally:
        if run:
            run.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
