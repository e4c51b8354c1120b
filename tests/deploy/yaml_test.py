"""All YAML of deploy/ is written alike, and without what parsers disagree about."""

import os
import subprocess
import unittest
from pathlib import Path

DEPLOY = Path(os.environ["TEST_SRCDIR"]) / "evenkeel/deploy"


class YamlTest(unittest.TestCase):
    def test_yamllint_has_nothing_to_say(self):
        files = sorted(path for pattern in ("*.yml", "*.yaml") for path in DEPLOY.rglob(pattern))
        self.assertGreater(len(files), 3)
        process = subprocess.run(["yamllint", "--strict", "--config-file", DEPLOY / ".yamllint", *files],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
