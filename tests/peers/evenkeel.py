"""The command line of Evenkeel, for checks that hold it against the code of others."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


class Refused(Exception):
    """The program said no; the text is what it said."""


class Evenkeel:
    """Runs a binary, with files in a folder of its own."""

    def __init__(self, binaries):
        self.program = Path(binaries) / "tools" / "evenkeel"
        if not self.program.exists():
            sys.exit(f"{self.program} is not there: bazel build //tools:evenkeel")
        self.folder = tempfile.TemporaryDirectory()

    def describe(self, config):
        """What `evenkeel describe-model` says about a config.json."""
        return json.loads(self.run("describe-model", str(config), "--json"))

    def route(self, config, layer, logits, bias):
        """ids and weights, [T, K], of logits in a layer of the model of a config.json."""
        return self._route([f"--model={config}", f"--layer={layer}"], logits, bias)

    def route_by_spec(self, spec, logits, bias):
        """ids and weights, [T, K], of logits by a RouteSpec, a dict."""
        path = Path(self.folder.name) / "spec.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        return self._route([f"--spec={path}"], logits, bias)

    def _route(self, router, logits, bias):
        files = {name: str(Path(self.folder.name) / name) for name in ("logits.npy", "bias.npy", "routed")}
        np.save(files["logits.npy"], logits)
        np.save(files["bias.npy"], bias)
        options = [f"--logits={files['logits.npy']}", f"--bias={files['bias.npy']}", f"--out={files['routed']}"]
        self.run("route", *router, *options)
        return np.load(files["routed"] + ".ids.npy"), np.load(files["routed"] + ".weights.npy")

    def run(self, *arguments):
        """What a command prints."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr.strip())
        return done.stdout
