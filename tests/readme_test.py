"""What README.md shows is what is there: the code that the tests compile, folders that exist, links that lead
somewhere."""

import os
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(os.environ["TEST_SRCDIR"]) / "evenkeel"
README = (ROOT / "README.md").read_text()


class ReadmeTest(unittest.TestCase):
    def test_shows_the_minimal_worker_as_it_is_compiled(self):
        shown = re.search(r"<!-- minimal_worker.cc -->\n```cpp\n(.*?)```\n<!-- end -->", README, re.DOTALL)
        self.assertIsNotNone(shown)
        self.assertEqual(shown.group(1), (ROOT / "client/examples/minimal_worker.cc").read_text())

    def test_links_lead_somewhere(self):
        links = re.findall(r"\]\(([^)]+)\)", README)
        self.assertGreater(len(links), 3)
        for link in links:
            self.assertTrue((ROOT / link).exists(), link)

    def test_pictures_are_there_and_small(self):
        pictures = set(re.findall(r"""(?:src|srcset)="([^"]+)"|\]\(([^)]+\.png)\)""", README))
        paths = {first or second for first, second in pictures}
        self.assertGreater(len(paths), 2)
        for path in paths:
            self.assertEqual((ROOT / path).read_bytes()[:8], b"\x89PNG\r\n\x1a\n", path)
            self.assertLess((ROOT / path).stat().st_size, 300_000, path)

    def test_the_minimal_worker_was_built(self):
        self.assertTrue(os.access(ROOT / "client/examples/minimal_worker", os.X_OK))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
