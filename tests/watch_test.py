"""`evenkeel watch` on a real pseudo-terminal, of a real coordinator with real workers: what a person sees, through a
change of the window's size and a restart of the coordinator, and the terminal that is left behind."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

RUNFILES = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
EVENKEEL = RUNFILES / "tools/evenkeel"
PATIENCE = 60


class Screen:
    """What a terminal shows of the bytes it gets: of escape sequences it knows those that every terminal has."""

    SEQUENCE = re.compile(rb"\x1b\[(\??)([0-9;]*)([A-Za-z])")

    def __init__(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.row = self.column = 0
        self.cells = [[" "] * columns for _ in range(lines)]
        self.alternate = False
        self.cursor = True
        # What was written for a window of another size may still come, until the screen is cleared.
        self.stale = False
        self.rest = b""

    def resize(self, columns, lines):
        self.columns, self.lines = columns, lines
        self.stale = True
        self._clear()

    def _clear(self):
        self.cells = [[" "] * self.columns for _ in range(self.lines)]

    def feed(self, data):
        data, self.rest = self.rest + data, b""
        while data:
            if data[:1] == b"\x1b":
                match = self.SEQUENCE.match(data)
                if match is None:
                    assert re.fullmatch(rb"\x1b(\[\??[0-9;]*)?", data), f"no known sequence: {data[:20]!r}"
                    self.rest = data
                    return
                self._sequence(match[1] == b"?", match[2].decode(), match[3].decode())
                data = data[match.end():]
                continue
            length = 1 if data[0] < 0x80 else 2 if data[0] < 0xe0 else 3 if data[0] < 0xf0 else 4
            if len(data) < length:
                self.rest = data
                return
            if self.row < self.lines and self.column < self.columns:
                self.cells[self.row][self.column] = data[:length].decode()
            else:
                assert self.stale, "written beyond the window"
            self.column += 1
            data = data[length:]

    def _sequence(self, is_private, numbers, letter):
        if is_private and letter in "hl":
            if numbers == "1049":
                self.alternate = letter == "h"
            elif numbers == "25":
                self.cursor = letter == "h"
            else:
                raise AssertionError(f"mode {numbers}")
        elif letter == "H":
            self.row, self.column = [int(number) - 1 for number in numbers.split(";")]
        elif letter == "J":
            self.stale = False
            self._clear()
        elif letter == "K":
            if self.row < self.lines:
                self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
        else:
            assert letter == "m", letter

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)


class Watch:
    """`evenkeel watch` on a pseudo-terminal of its own."""

    def __init__(self, columns, lines, *flags, **environment):
        self.screen = Screen(columns, lines)
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            # It begins when the window has its size.
            sys.stdin.readline()
            os.execve(EVENKEEL, ["evenkeel", "watch", *flags], dict(
                {"TERM": "xterm", "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"}, **environment))
        self._set_size(columns, lines)
        self.settings = termios.tcgetattr(self.terminal)
        os.write(self.terminal, b"\n")
        # The line that it began with is echoed.
        self.before = b""

    def _set_size(self, columns, lines):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.screen.resize(columns, lines)
        self._set_size(columns, lines)

    def press(self, keys):
        os.write(self.terminal, keys)

    def signal(self, number):
        os.kill(self.process, number)

    def _read(self, deadline):
        ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return None
        try:
            return os.read(self.terminal, 65536)
        except OSError:  # it has ended
            return b""

    def wait_for(self, what, is_so):
        """Reads until the screen is as said."""
        deadline = time.monotonic() + PATIENCE
        while not (self.screen.alternate and is_so(self.screen.text())):
            data = self._read(deadline)
            assert data, f"no {what} on the screen:\n{self.screen.text()}\n{self.before!r}"
            if not self.screen.alternate:
                self.before += data
                begin = self.before.find(b"\x1b")
                if begin < 0:
                    continue
                data = self.before[begin:]
            self.screen.feed(data)

    def end(self):
        """Reads to its end; the exit code, or the negative number of the signal."""
        deadline = time.monotonic() + PATIENCE
        while data := self._read(deadline):
            # Behind the screen that is given back, the terminal may do what it wants.
            if self.screen.alternate:
                self.screen.feed(data)
        left = termios.tcgetattr(self.terminal)
        _, status = os.waitpid(self.process, 0)
        os.close(self.terminal)
        assert left == self.settings, "the terminal is not as it was"
        return os.waitstatus_to_exitcode(status)


class Coordinator:
    def __init__(self, folder):
        self.folder = folder
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [RUNFILES / "server/evenkeeld", f"--state_dir={self.folder}/state", f"--listen={self.address}",
             "--metrics_listen=127.0.0.1:0", f"--ready_file={ready}"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not ready.exists():
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        self.address = json.loads(ready.read_text())["grpc"]

    def kill(self):
        self.process.kill()
        self.process.wait()


def run_steps(coordinator, job, steps):
    """A run of one worker, to its end."""
    subprocess.run(
        [RUNFILES / "client/examples/text_worker", f"--coordinator={coordinator.address}", f"--job={job}",
         "--rank=0", "--world-size=1", f"--steps={steps}", "--synthetic", "--json", "--device=cpu"],
        stdout=subprocess.DEVNULL, check=True)


class WatchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.coordinator = Coordinator(Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])))
        run_steps(cls.coordinator, "first", 3)
        run_steps(cls.coordinator, "second", 5)

    @classmethod
    def tearDownClass(cls):
        cls.coordinator.kill()

    def watch(self, columns, lines, *flags, **environment):
        return Watch(columns, lines, f"--coordinator={self.coordinator.address}", "--interval=0.2", *flags,
                     **environment)

    def test_a_window_that_changes_and_a_coordinator_that_comes_back(self):
        watch = self.watch(100, 40, "--job=second")
        watch.wait_for("picture", lambda text: "load of step 5: 8 layers x 64 experts\n" in text and "q quit" in text)
        self.assertFalse(watch.screen.cursor)
        text = watch.screen.text()
        self.assertIn("job second (2 of 2)  step 5", text)
        picture = [line for line in text.splitlines() if line.endswith("\u2580" * 64)]
        self.assertEqual(len(picture), 4, text)  # two layers a line

        watch.resize(50, 24)
        watch.wait_for("narrow picture", lambda text: re.search(r"load of step 5: 8 layers x 64 experts; a c", text))
        watch.resize(120, 30)
        watch.wait_for("wide picture", lambda text: "8 layers x 64 experts\n" in text)

        watch.press(b"\x1b[B\x1b[B")
        watch.wait_for("third layer", lambda text: re.search(r"^> \S*2\S*: fullest", text, re.MULTILINE))
        watch.press(b"\t")
        watch.wait_for("other job", lambda text: "job first (1 of 2)  step 3" in text)

        self.coordinator.kill()
        watch.wait_for("trouble", lambda text: "! no coordinator answers at" in text)
        self.assertIn("step 3", watch.screen.text())
        self.coordinator.start()
        watch.wait_for("answer", lambda text: "! no coordinator answers" not in text and "step 3" in text)
        watch.press(b"q")
        self.assertEqual(watch.end(), 0)
        self.assertFalse(watch.screen.alternate)
        self.assertTrue(watch.screen.cursor)

    def test_new_steps_are_seen(self):
        watch = self.watch(100, 30, "--job=first")
        watch.wait_for("job", lambda text: "job first" in text)
        run_steps(self.coordinator, "third", 2)
        watch.wait_for("new job", lambda text: "(1 of 3)" in text)
        watch.press(b"q")
        self.assertEqual(watch.end(), 0)

    def test_signals_give_the_terminal_back(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            watch = self.watch(80, 24)
            watch.wait_for("job", lambda text: "contributors" in text)
            watch.signal(number)
            self.assertEqual(watch.end(), 0)
            self.assertFalse(watch.screen.alternate)

    def test_stopped_and_gone_on(self):
        watch = self.watch(80, 24)
        watch.wait_for("job", lambda text: "contributors" in text)
        watch.signal(signal.SIGTSTP)
        self.assertTrue(os.WIFSTOPPED(os.waitpid(watch.process, os.WUNTRACED)[1]))
        while watch.screen.alternate:
            watch.screen.feed(os.read(watch.terminal, 1))
        self.assertEqual(termios.tcgetattr(watch.terminal), watch.settings)
        watch.before = b""
        watch.signal(signal.SIGCONT)
        watch.wait_for("job again", lambda text: "contributors" in text)
        watch.press(b"q")
        self.assertEqual(watch.end(), 0)

    def test_no_colour_is_characters(self):
        watch = self.watch(100, 40, NO_COLOR="1")
        watch.wait_for("picture", lambda text: re.search(r"^>\d [x,.=+*#-]{64}$", text, re.MULTILINE))
        watch.press(b"q")
        self.assertEqual(watch.end(), 0)

    def test_without_a_screen_there_are_lines(self):
        for flags, pattern in (((), r"step 5  epoch \d  max violation \d"), (("--json",), r'\{"job": "second", ')):
            process = subprocess.Popen(
                [EVENKEEL, "watch", f"--coordinator={self.coordinator.address}", "--job=second", "--interval=0.1",
                 *flags], stdout=subprocess.PIPE, text=True)
            line = process.stdout.readline()
            self.assertRegex(line, pattern)
            if flags:
                self.assertEqual(json.loads(line)["step"], 5)
            process.terminate()
            self.assertEqual(process.communicate()[0], "", "a step is told once")

    def test_once(self):
        def once(*flags):
            return subprocess.run(
                [EVENKEEL, "watch", "--once", f"--coordinator={self.coordinator.address}", *flags],
                env={"COLUMNS": "90", "LINES": "30"}, capture_output=True, text=True, check=False)
        frame = once("--job=second")
        self.assertEqual(frame.returncode, 0, frame.stderr)
        self.assertIn("load of step 5: 8 layers x 64 experts\n", frame.stdout)
        self.assertNotIn("\x1b", frame.stdout)
        self.assertEqual(json.loads(once("--json", "--job=first").stdout)["step"], 3)
        unknown = once("--job=nobody")
        self.assertEqual((unknown.returncode, unknown.stdout), (1, ""))
        self.assertTrue(unknown.stderr.startswith("evenkeel watch: "), unknown.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
