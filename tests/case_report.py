"""unittest with a report by which Bazel knows each case, and the skipped ones with their reason."""

import os
import sys
import unittest
from xml.etree import ElementTree


class _Result(unittest.TextTestResult):
    def __init__(self, *args):
        super().__init__(*args)
        self.suite = ElementTree.Element("testsuite")

    def _add(self, test, outcome=None, message=""):
        class_name, _, name = test.id().replace("__main__.", "").rpartition(".")
        case = ElementTree.SubElement(self.suite, "testcase", classname=class_name, name=name)
        if outcome:
            ElementTree.SubElement(case, outcome).text = message

    def addSuccess(self, test):
        super().addSuccess(test)
        self._add(test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._add(test, "skipped", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "error", self.errors[-1][1])


def main():
    """Runs the cases of the script, reports them, and exits."""
    runner = unittest.TextTestRunner(resultclass=_Result, verbosity=2)
    result = unittest.main(argv=sys.argv[:1], testRunner=runner, exit=False).result
    ElementTree.ElementTree(result.suite).write(os.environ["XML_OUTPUT_FILE"], encoding="utf-8")
    sys.exit(not result.wasSuccessful())
