"""The web page in a real browser, over a real coordinator with real pushes: it shows what the API tells, and goes on
showing it; at any width, in the dark, by the keyboard alone; and asks for a token where the coordinator does.

Its pictures are those of doc/pictures: they are in this test's outputs."""

import hashlib
import json
import math
import os
import re
import secrets
import signal
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from chromium import Browser, find  # noqa: E402
from coordinator import Coordinator  # noqa: E402

LARGE = "team/large"
SMALL = "small"
ENDLESS = "endless"
PICTURED = "pretrain/moe-61x256"
PICTURE_BYTES = 300_000
LIVE = "document.getElementById('live').dataset.state === 'live'"
# Of everything that a person can act on and sees.
FOCUSABLE = """[...document.querySelectorAll('a[href], button, select, input, summary, [tabindex="0"]')]
    .filter((node) => node.checkVisibility())"""


def setUpModule():
    if find() is None:
        raise unittest.SkipTest("there is no Chromium: deploy/setup.sh installs it")
    global browser, coordinator
    browser = Browser(find())
    coordinator = Coordinator()
    large = coordinator.work(LARGE, layers=61, experts=256, top_k=8, steps=20)
    small = coordinator.work(SMALL, layers=8, experts=8, top_k=2, steps=150)
    for worker in (small, large):
        assert worker.wait() == 0, (coordinator.folder / "workers.log").read_text()


def tearDownModule():
    browser.close()
    coordinator.close()


def figure(text):
    """What the page wrote, as a number."""
    return float(text.replace("−", "-").replace(",", ""))


def load_of(layer, expert):
    return layer["counts"][expert] / layer["wanted"]


class PageTest(unittest.TestCase):
    def open(self, job=None, width=1280, height=900, dark=False, density=1, at=None):
        page = browser.page((at or coordinator).page(job), width, height, density, dark)
        self.addCleanup(page.close)
        return page

    def open_job(self, job, **how):
        page = self.open(job, **how)
        page.wait(f"{LIVE} && document.getElementById('violation-text').textContent.includes('Steps')")
        return page

    def assert_no_complaints(self, page):
        self.assertEqual(page.complaints(), [])


class ShowsTest(PageTest):
    def test_lists_the_jobs_and_leads_to_them(self):
        page = self.open()
        page.wait("document.querySelectorAll('tbody tr').length >= 2")
        rows = page.run("""[...document.querySelectorAll('tbody tr')]
            .map((row) => [...row.cells].map((cell) => cell.textContent))""")
        _, answer = coordinator.get("jobs")
        self.assertEqual([row[0] for row in rows], [job["name"] for job in answer["jobs"]])
        for row, job in zip(rows, answer["jobs"]):
            if job["name"] == ENDLESS:
                continue
            self.assertEqual(figure(row[2]), int(job["version"]["step"]))
            self.assertAlmostEqual(figure(row[3]), job["max_violation"], places=2)
        page.run(f"[...document.links].find((link) => link.textContent === {json.dumps(LARGE)}).click()")
        page.wait(f"document.querySelector('#view h1').textContent === {json.dumps(LARGE)}")
        self.assert_no_complaints(page)

    def test_a_job_is_shown_as_the_api_tells_it(self):
        for name in (LARGE, SMALL):
            page = self.open_job(name)
            job = coordinator.job(name)
            layers = job["layers"]
            self.assertEqual(figure(page.text("#figure-step")), int(job["summary"]["version"]["step"]))
            self.assertAlmostEqual(figure(page.text("#figure-mean")), job["summary"]["max_violation"], places=2)
            worst = max(layer["max_violation"] for layer in layers)
            self.assertAlmostEqual(figure(page.text("#figure-worst")), worst, places=2)
            page.run("document.getElementById('layers-more').hidden || document.getElementById('layers-more').click()")
            page.wait(f"document.querySelectorAll('#layers tbody tr').length === {len(layers)}")
            rows = page.run("""[...document.querySelectorAll('#layers tbody tr')].map((row) =>
                [row.querySelector('button').title, ...[...row.cells].map((cell) => cell.textContent)])""")
            told = {layer["name"]: layer for layer in layers}
            self.assertEqual({row[0] for row in rows}, set(told))
            for title, _, violation, window, floor, least, *_ in rows:
                layer = told[title]
                self.assertAlmostEqual(figure(violation), layer["max_violation"], places=2)
                self.assertAlmostEqual(figure(window), layer["trend"]["max_violation"], places=2)
                self.assertAlmostEqual(figure(floor), layer["noise_floor"], places=2)
                self.assertAlmostEqual(figure(least), layer["min_violation"], places=2)
            violations = [told[row[0]]["max_violation"] for row in rows]
            self.assertEqual(violations, sorted(violations, reverse=True))
            self.assert_no_complaints(page)

    def test_the_lines_are_the_history(self):
        page = self.open_job(LARGE)
        history = coordinator.job(LARGE, "/history")
        rows = len(history["rows"])
        last = history["max_violation"][-rows:]
        page.run("document.getElementById('violation').focus()")
        readout = page.wait("document.getElementById('violation-readout').textContent")
        step, most, mean = re.match(r"step ([\d,]+): largest ([\d.]+), mean ([\d.]+)", readout).groups()
        self.assertEqual(figure(step), int(history["steps"][-1]))
        self.assertAlmostEqual(float(most), max(last), places=2)
        self.assertAlmostEqual(float(mean), sum(last) / rows, places=2)
        page.press("Home")
        page.wait("document.getElementById('violation-readout').textContent.startsWith('step 1:')")
        # The same for all layers: they have the same tokens.
        floor = coordinator.job(LARGE)["layers"][0]["noise_floor"]
        told = re.search(r"chance alone makes (\d+\.\d+)\.$", page.text("#violation-text"))
        self.assertAlmostEqual(float(told[1]), floor, places=2)

    def test_the_heat_map_is_the_load(self):
        for name in (LARGE, SMALL):
            page = self.open_job(name)
            layers = {layer["name"]: layer for layer in coordinator.job(name, "/load")["layers"]}
            # Each row in turn, in the order in which people count.
            experts = len(layers["layers.0.gate"]["counts"])
            page.run("document.getElementById('heat-map').focus()")
            for row in (0, 1, 7):
                layer = layers[f"layers.{row}.gate"]
                expert = max(range(experts), key=lambda e: load_of(layer, e)) if row else 0
                page.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Home'}))")
                page.run("""for (let i = 0; i < 99; ++i) {
                    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowUp'}));
                }""")
                for key, times in (("ArrowDown", row), ("ArrowRight", expert)):
                    for _ in range(times):
                        page.press(key)
                text = page.text("#heat-readout")
                self.assertTrue(text.startswith(f"layer {row}, expert {expert}: "), text)
                load, count, bias = re.search(r"load ([\d.]+), ([\d,]+) tokens?, bias ([+−][\d.]+)", text).groups()
                self.assertAlmostEqual(float(load), load_of(layer, expert), places=2)
                self.assertEqual(figure(count), layer["counts"][expert])
                self.assertAlmostEqual(figure(bias), layer["bias"][expert], places=4)

    def test_colours_say_more_and_less(self):
        page = self.open_job(SMALL)
        layers = {layer["name"]: layer for layer in coordinator.job(SMALL, "/load")["layers"]}
        colours = page.run("""new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.getElementById('heat-map');
            const context = canvas.getContext('2d');
            resolve([0, 1, 2, 3, 4, 5, 6, 7].map((row) => [0, 1, 2, 3, 4, 5, 6, 7].map((expert) => {
                const x = canvas.width - (7.5 - expert) * ((canvas.width - 15) / 8);
                return [...context.getImageData(x, (row + 0.5) * (canvas.height - 18) / 8, 1, 1).data];
            })));
        })))""")
        for row in range(8):
            for expert in range(8):
                load = load_of(layers[f"layers.{row}.gate"], expert)
                red, _, blue, _ = colours[row][expert]
                if abs(math.log2(load)) < 0.1:
                    continue
                self.assertEqual(red > blue, load > 1, (row, expert, load, colours[row][expert]))

    def test_a_click_chooses_the_layer(self):
        page = self.open_job(SMALL)
        box = page.run("(({x, y, width, height}) => [x, y, width, height])"
                       "(document.getElementById('heat-map').getBoundingClientRect())")
        page.click(box[0] + box[2] / 2, box[1] + (box[3] - 18) * 5.5 / 8)
        page.wait("document.body.innerText.includes('Bias of layer 5')")
        bias = coordinator.job(SMALL, "/history?layer=layers.5.gate")["bias"][-8:]
        page.wait(f"document.getElementById('bias-text').textContent.includes('{max(bias):.4f}')")
        self.assert_no_complaints(page)


class LivesTest(PageTest):
    def test_follows_the_job_until_paused(self):
        worker = coordinator.work(ENDLESS, layers=2, experts=4, top_k=1, steps=10**9, tokens=4096)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        page = self.open()
        page.wait(f"[...document.links].some((link) => link.textContent === '{ENDLESS}')")
        page.run(f"location.hash = '#/job/{ENDLESS}'")
        step = "Number(document.getElementById('figure-step').textContent.replaceAll(',', ''))"
        first = page.wait(step)
        second = page.wait(f"{step} > {first} && {step}")
        page.wait(f"{step} > {second}")
        page.run("document.getElementById('pause').click()")
        page.wait("document.getElementById('live').dataset.state === 'paused'")
        stopped = page.run(step)
        asked = len(page.addresses())
        reached = coordinator.job(ENDLESS)["summary"]["version"]["step"]
        while int(coordinator.job(ENDLESS)["summary"]["version"]["step"]) <= int(reached):
            pass
        self.assertEqual(page.run(step), stopped)
        self.assertEqual(len(page.addresses()), asked)
        page.run("document.getElementById('pause').click()")
        page.wait(f"{step} > {stopped}")
        self.assert_no_complaints(page)

    def test_asks_nothing_while_nobody_looks(self):
        page = self.open_job(SMALL)
        hide = """Object.defineProperty(document, 'hidden', {configurable: true, value: HIDDEN});
                  document.dispatchEvent(new Event('visibilitychange'))"""
        page.run(hide.replace("HIDDEN", "true"))
        page.wait("document.getElementById('live').dataset.state === 'paused'")
        asked = len(page.addresses())
        page.run("new Promise((resolve) => setTimeout(resolve, 2500))")  # in which it would have asked twice
        self.assertEqual(len(page.addresses()), asked)
        page.run(hide.replace("HIDDEN", "false"))
        page.wait(LIVE)
        self.assertGreater(len(page.addresses()), asked)

    def test_says_when_nobody_answers_and_goes_on_when_somebody_does(self):
        other = Coordinator()
        self.addCleanup(other.close)
        self.assertEqual(other.work("job", layers=2, experts=4, top_k=1, steps=3).wait(), 0)
        page = self.open("job", at=other)
        page.wait(LIVE)
        other.kill()
        page.wait("document.getElementById('problem').textContent.includes('does not answer')")
        other.start()
        page.wait(f"{LIVE} && document.getElementById('problem').hidden")

    def test_a_job_that_is_not_there_is_told(self):
        page = self.open("nobody/<b>")
        self.assertIn("nobody/<b>", page.wait("document.getElementById('problem').textContent"))
        self.assertFalse(page.run("!!document.querySelector('#view b')"))
        self.assertFalse(page.run("document.getElementById('view').checkVisibility()"))


class EverybodyTest(PageTest):
    def test_nothing_is_wider_than_the_screen(self):
        for width in (360, 768, 1920):
            for job in (None, LARGE, SMALL):
                page = self.open_job(job, width=width) if job else self.open(width=width)
                page.wait(LIVE)
                self.assertLessEqual(page.run("document.documentElement.scrollWidth"), width, job)

    def test_the_tab_key_reaches_everything(self):
        page = self.open_job(LARGE)
        page.run("document.getElementById('pause').click()")
        wanted = page.run(f"{FOCUSABLE}.length")
        self.assertGreater(wanted, 25)
        page.run(f"{FOCUSABLE}.forEach((node, i) => node.dataset.place = i); document.body.focus()")
        seen, ringless = [], []
        for _ in range(wanted + 5):
            page.tab()
            place = page.run("document.activeElement.dataset.place")
            if place is not None:
                seen.append(int(place))
                if page.run("getComputedStyle(document.activeElement).outlineStyle") == "none":
                    ringless.append(place)
        self.assertEqual(sorted(set(seen)), list(range(wanted)))
        self.assertEqual(seen[:wanted], list(range(wanted)))
        self.assertEqual(ringless, [])

    def test_pictures_have_names_and_words(self):
        page = self.open_job(LARGE)
        for picture in page.run("[...document.querySelectorAll('canvas')].map((canvas) => canvas.id)"):
            self.assertTrue(page.run(f"document.getElementById('{picture}').getAttribute('aria-label')"))
            described = page.run(f"document.getElementById('{picture}').getAttribute('aria-describedby')")
            self.assertGreater(len(page.text(f"#{described}")), 30)
        layers = coordinator.job(LARGE, "/load")["layers"]
        fullest = max(load_of(layer, expert) for layer in layers for expert in range(256))
        told = re.search(r"Fullest: layer \d+, expert \d+, ([\d.]+)\. ", page.text("#heat-text"))
        self.assertAlmostEqual(float(told[1]), fullest, places=2)

    def test_light_and_dark(self):
        brightness = """(() => {
            const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number);
            return (r + g + b) / 3;
        })()"""
        page = self.open_job(SMALL, dark=True)
        self.assertLess(page.run(brightness), 64)
        page.prefer("light")
        self.assertGreater(page.run(brightness), 192)
        page.run("document.getElementById('theme').click(); document.getElementById('theme').click()")
        self.assertEqual(page.text("#theme"), "Theme: dark")
        self.assertLess(page.run(brightness), 64)
        page.call("Page.reload")
        page.wait(f"{LIVE} && {brightness} < 64")
        self.assert_no_complaints(page)

    def test_names_of_strangers_are_text(self):
        page = self.open_job(SMALL)
        script = """(async () => {
            const {JobView} = await import('/assets/job_view.js');
            const {JobsView} = await import('/assets/jobs_view.js');
            const evil = '<img src=x onerror="evil = true">';
            const spoil = (value) => typeof value === 'string' && !/^[A-Z_0-9.]+$/.test(value) ? evil + value :
                Array.isArray(value) ? value.map(spoil) : value && typeof value === 'object' ?
                Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spoil(inner)])) : value;
            const get = async (path) => spoil(await (await fetch('/api/v1/jobs' + path)).json());
            const job = new JobView(evil, () => {});
            const jobs = new JobsView();
            document.body.append(job.node, jobs.node);
            job.updateLoad(await get('/JOB/load'));
            const described = await get('/JOB');
            described.summary.failure = evil;
            described.contributors[0].joined = true;
            described.contributors[0].worker = Object.fromEntries(['hostname', 'device', 'library_version',
                'cuda_version', 'nccl_version', 'driver_version'].map((name) => [name, evil]));
            described.violations = [{kind: evil, layer: evil, ranks: [evil], message: evil}];
            job.updateJob(described);
            jobs.update(await get(''));
            return [document.body.innerText.split(evil).length, document.querySelectorAll('img').length, !!window.evil];
        })()""".replace("JOB", SMALL)
        times, images, ran = page.run(script)
        self.assertEqual((images, ran), (1, False))  # the page's own
        self.assertGreater(times, 10)


class TokenTest(PageTest):
    def test_asks_for_the_token_and_keeps_it_to_itself(self):
        token = secrets.token_hex(32)
        identities = Path(os.environ.get("TEST_TMPDIR", "/tmp")) / "identities.yaml"
        identities.write_text("identities: [{name: reader, role: READER, jobs: ['*'], token_sha256: ['%s']}]\n"
                              % hashlib.sha256(token.encode()).hexdigest())
        guarded = Coordinator(f"--identities={identities}")
        self.addCleanup(guarded.close)
        page = self.open(at=guarded)
        page.wait("document.getElementById('sign-in').checkVisibility()")
        self.assertEqual(page.run("document.activeElement.id"), "token")
        page.type("wrong")
        page.press("Enter", 13, "\r")
        page.wait("document.getElementById('sign-in-problem').textContent.includes('not known')")
        page.run("document.getElementById('token').focus()")
        page.type(token)
        page.press("Enter", 13, "\r")
        page.wait(f"{LIVE} && document.body.innerText.includes('No jobs yet')")
        self.assertFalse(page.run("document.getElementById('sign-in').checkVisibility()"))
        kept = page.run("[Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]")
        self.assertEqual(kept[0], [token])
        self.assertNotIn(token, json.dumps(kept[1:]))
        self.assertFalse([address for address in page.addresses() if token in address or "wrong" in address])
        # Another tab knows nothing of it, and this one nothing more after signing out.
        page.run("document.getElementById('sign-out').click()")
        page.wait("document.getElementById('sign-in').checkVisibility()")
        self.assertEqual(page.run("Object.values(sessionStorage)"), [])


class PicturesTest(PageTest):
    def take(self, name, page, whole=False):
        picture = page.picture(whole)
        self.assertLess(len(picture), PICTURE_BYTES, name)
        self.assertEqual(picture[:8], b"\x89PNG\r\n\x1a\n")
        folder = Path(os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR", "."))
        (folder / f"{name}.png").write_bytes(picture)

    def test_are_taken(self):
        workers = [coordinator.work(PICTURED, layers=61, experts=256, top_k=8, steps=10**9, tokens=1024, rank=rank,
                                    world_size=2) for rank in range(2)]
        for worker in workers:
            self.addCleanup(worker.wait)
            self.addCleanup(worker.kill)
        page = self.open_job(PICTURED, height=1130)
        page.wait("Number(document.getElementById('figure-step').textContent) >= 60")
        # So that all pictures are of the same step.
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        for name, job, how in (("light", PICTURED, {}), ("dark", PICTURED, {"dark": True}), ("small", SMALL, {}),
                               ("phone", PICTURED, {"width": 360, "height": 860})):
            page = self.open_job(job, **{"width": 1000, "height": 1165, **how})
            page.run("document.getElementById('heat-map').focus({preventScroll: true})")
            for key in ["PageDown"] * 2 + ["ArrowRight"] * 5:
                page.press(key)
            page.run("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
            self.take(name, page)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
