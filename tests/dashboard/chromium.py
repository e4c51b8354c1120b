"""A headless Chromium that is told what to do over a pipe (the DevTools protocol): no driver, no port, no package."""

import base64
import collections
import json
import os
import shutil
import subprocess
import tempfile
import threading

ANSWER_SECONDS = 120  # longer than any wait for a page


class BrowserError(Exception):
    """What the browser, or a script in a page, said was wrong."""


def find():
    """The program's path, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One process with a profile of its own. Pages are opened by `page`; `close` ends it."""

    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="chromium", dir=os.environ.get("TEST_TMPDIR"))
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
            "--disable-component-update", "--force-color-profile=srgb", f"--user-data-dir={self.profile}",
            "--remote-debugging-pipe", "about:blank",
        ]
        # The browser reads commands from descriptor 3 and answers on 4.
        shell = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._log = open(os.path.join(self.profile, "stderr"), "wb")
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "bash", *command], pass_fds=(to_read, to_write), stdout=self._log,
            stderr=self._log, env=dict(os.environ, HOME=self.profile), start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        self._next = 0
        self._answers = {}
        self.events = collections.deque()
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        rest = b""
        while True:
            try:
                piece = os.read(self._read, 1 << 20)
            except OSError:
                piece = b""
            with self._changed:
                if not piece:
                    self._ended = True
                    self._changed.notify_all()
                    return
                *messages, rest = (rest + piece).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self.events.append(message)
                self._changed.notify_all()

    def call(self, method, session=None, **parameters):
        """The result of one command."""
        self._next += 1
        number = self._next
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._answers or self._ended, ANSWER_SECONDS):
                raise BrowserError(f"{method} was not answered")
            if number not in self._answers:
                raise BrowserError(f"chromium ended: {self.stderr()}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, address, width, height, density=1, dark=False):
        """A new page of this size in CSS pixels."""
        return Page(self, address, width, height, density, dark)

    def stderr(self):
        self._log.flush()
        with open(self._log.name, encoding="utf-8", errors="replace") as log:
            return log.read()

    def close(self):
        try:
            self.call("Browser.close")
        except (BrowserError, OSError):
            self.process.kill()
        self.process.wait()
        os.close(self._write)
        self._log.close()
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """One tab, in a browser context of its own: it shares no storage with others."""

    def __init__(self, browser, address, width, height, density, dark):
        self.browser = browser
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height, density)
        self.prefer("dark" if dark else "light")
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def call(self, method, **parameters):
        return self.browser.call(method, session=self.session, **parameters)

    def resize(self, width, height, density=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=density,
                  mobile=False)

    def prefer(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def run(self, script):
        """The value of an expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait(self, condition, seconds=60):
        """Waits until an expression holds in the page, and returns its value."""
        script = f"""new Promise((resolve) => {{
            const end = performance.now() + {1000 * seconds};
            const look = () => {{
                let value;
                try {{ value = {condition}; }} catch {{ value = null; }}
                if (value || performance.now() > end) resolve(value); else setTimeout(look, 20);
            }};
            look();
        }})"""
        value = self.run(script)
        if not value:
            raise BrowserError(f"did not come true: {condition}; the page says:\n{self.run('document.body.innerText')}")
        return value

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def press(self, key, code=0, text=None):
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if text:
            parameters["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters)
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def tab(self):
        self.press("Tab", 9)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def point(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def complaints(self):
        """What the console and the network said was wrong, in order."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(parameters["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
                found.append(" ".join(str(value.get("value")) for value in parameters["args"]))
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return found

    def addresses(self):
        """What the page has asked for."""
        return [event["params"]["request"]["url"] for event in self.browser.events
                if event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"]

    def picture(self, whole=False):
        """What it shows as PNG; with `whole`, also what is below the edge."""
        parameters = {"format": "png"}
        if whole:
            parameters["captureBeyondViewport"] = True
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", **parameters)["data"])

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
