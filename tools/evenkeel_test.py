#!/usr/bin/python3
"""The program as NumPy's users meet it: files that NumPy wrote go in, and files that NumPy reads come out."""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import numpy as np

EVENKEEL = sys.argv.pop(1)


class EvenkeelTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def path(self, name):
        return str(self.folder / name)

    def evenkeel(self, *args, code=0):
        result = subprocess.run([EVENKEEL, *args], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def write_spec(self, **fields):
        (self.folder / "spec.json").write_text(json.dumps(fields))
        return self.path("spec.json")

    def route(self, *more, code=0):
        return self.evenkeel("route", f"--spec={self.path('spec.json')}", f"--logits={self.path('x.npy')}",
                             f"--out={self.path('out')}", *more, code=code)

    def test_route_agrees_with_numpy(self):
        tokens, experts, top_k = 300, 32, 4
        rng = np.random.default_rng(5)
        logits = rng.standard_normal((tokens, experts)).astype(np.float32)
        bias = (rng.standard_normal(experts) * 0.1).astype(np.float32)
        valid = rng.random(tokens) < 0.8
        np.save(self.path("x.npy"), logits)
        np.save(self.path("b.npy"), bias)
        np.save(self.path("m.npy"), valid)
        self.write_spec(num_experts=experts, topK=top_k, score="SIGMOID", normalize=True, scale=2.5)
        summary = json.loads(
            self.route("--bias", self.path("b.npy"), "--valid", self.path("m.npy"), "--json").stdout)

        ids = np.load(self.path("out.ids.npy"))
        weights = np.load(self.path("out.weights.npy"))
        counts = np.load(self.path("out.counts.npy"))
        self.assertEqual((ids.dtype, ids.shape), (np.int32, (tokens, top_k)))
        self.assertEqual((weights.dtype, weights.shape), (np.float32, (tokens, top_k)))
        self.assertEqual((counts.dtype, counts.shape), (np.int64, (experts,)))

        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        wanted = np.argsort(-(scores + bias), axis=1, kind="stable")[:, :top_k]
        np.testing.assert_array_equal(ids[valid], wanted[valid])
        self.assertTrue((ids[~valid] == -1).all() and (weights[~valid] == 0).all())
        chosen = np.take_along_axis(scores, wanted, axis=1)
        np.testing.assert_allclose(
            weights[valid], (2.5 * chosen / chosen.sum(axis=1, keepdims=True))[valid], rtol=1e-5)
        np.testing.assert_array_equal(counts, np.bincount(ids[valid].ravel(), minlength=experts))
        self.assertEqual(summary["valid_tokens"], int(valid.sum()))

    def test_every_version_of_the_format_is_read(self):
        self.write_spec(num_experts=4, top_k=1, score="LOGIT")
        for version in ((1, 0), (2, 0), (3, 0)):
            with open(self.path("x.npy"), "wb") as file:
                np.lib.format.write_array(file, np.eye(4, dtype=np.float32)[::-1].copy(), version=version)
            self.route()
            np.testing.assert_array_equal(np.load(self.path("out.ids.npy"))[:, 0], [3, 2, 1, 0])

    def test_arrays_that_are_not_read_are_refused_by_name(self):
        self.write_spec(num_experts=4, top_k=1)
        for array, words in (
            (np.zeros((3, 4), ">f4"), "big-endian"),
            (np.asfortranarray(np.zeros((3, 4), "f4")), "fortran_order: True"),
            (np.zeros((3, 4), "f8"), "dtype float64"),
            (np.zeros((3, 4), "i1"), "|i1"),
            (np.zeros(3, [("a", "f4")]), "structured"),
            (np.zeros((3, 4), object), "|O"),
        ):
            np.save(self.path("x.npy"), array)
            result = self.route(code=1)
            self.assertIn(words, result.stderr)
            self.assertTrue(result.stderr.startswith("evenkeel route: "), result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)
            self.assertEqual(list(self.folder.glob("out*")), [])

    def test_replay_agrees_with_the_rule_in_numpy(self):
        steps, layers, experts = 40, 2, 8
        counts = np.random.default_rng(9).poisson(50, (steps, layers, experts)).astype(np.int64)
        np.save(self.path("c.npy"), counts)
        (self.folder / "balance.json").write_text(
            '{"preset": "axolotl_noaux_tc", "rate": 0.05, "cap": 0.02, "warmup_steps": 3}')
        self.evenkeel("replay", "--config", self.path("balance.json"), "--counts", self.path("c.npy"), "--out",
                      self.path("b.npy"))
        bias = np.load(self.path("b.npy"))
        self.assertEqual((bias.dtype, bias.shape), (np.float32, counts.shape))

        ema = np.zeros((layers, experts))
        wanted = np.zeros((layers, experts))
        for step in range(steps):
            if step >= 3:
                share = counts[step] / counts[step].sum(axis=1, keepdims=True)
                ema = 0.9 * ema + 0.1 * share
                delta = 0.05 * (1 / experts - ema)
                wanted = np.clip(wanted + delta - delta.mean(axis=1, keepdims=True), -0.02, 0.02)
            np.testing.assert_allclose(bias[step], wanted, atol=1e-6)

    def test_help_teaches_and_mistakes_exit_with_2(self):
        overview = self.evenkeel("--help").stdout
        for command in ("describe-model", "route", "replay", "status", "watch", "top-experts", "report", "set", "export", "import", "check-selection",
                        "token"):
            self.assertIn(f"evenkeel {command} ", overview)
            page = self.evenkeel(command, "--help").stdout
            self.assertIn("Example:", page)
        for args in ((), ("rout",), ("route", "--spec"), ("route", "--what"), ("replay", "x"), ("status", "--job="),
                     ("describe-model",), ("export", "--out=x"), ("import",), ("check-selection",),
                     ("watch", "--interval=0"), ("top-experts",), ("report", "--out=x")):
            result = self.evenkeel(*args, code=2)
            self.assertEqual(result.stdout, "")
            self.assertIn("--help", result.stderr)

    def test_the_examples_of_the_help_pages_run(self):
        for command in ("describe-model", "route", "replay", "check-selection"):
            page = self.evenkeel(command, "--help").stdout
            lines = [line.strip() for line in page.split("Example:")[1].splitlines() if line.strip()]
            self.assertGreater(len(lines), 2)
            script = "\n".join(lines).replace("python3", sys.executable).replace(
                "evenkeel " + command, f"'{pathlib.Path(EVENKEEL).resolve()}' {command}")
            subprocess.run(["/bin/sh", "-ec", script], cwd=self.folder, check=True, capture_output=True)

    def test_a_model_is_described_and_routed_as_its_config_says(self):
        config = {"model_type": "nemotron_h", "hybrid_override_pattern": "ME*E", "n_routed_experts": 16,
                  "num_experts_per_tok": 2, "routed_scaling_factor": 2.826, "time_step_limit": [0.0, float("inf")]}
        (self.folder / "config.json").write_text(json.dumps(config, indent=2))
        described = json.loads(self.evenkeel("describe-model", self.path("config.json"), "--json").stdout)
        self.assertEqual(described["model_type"], "nemotron_h")
        decoder, = described["decoders"]
        self.assertEqual((decoder["num_layers"], decoder["dense_layers"]), (4, [0, 2]))
        self.assertEqual([layer["index"] for layer in decoder["moe_layers"]], [1, 3])
        layer = decoder["moe_layers"][1]
        self.assertEqual(layer["name"], "model.layers.3.mixer.gate")
        self.assertEqual(layer["bias"], {
            "module_names": ["model.layers.3.mixer.gate.e_score_correction_bias"],
            "checkpoint_name": "backbone.layers.3.mixer.gate.e_score_correction_bias", "checkpoint_shape": [16]})

        np.save(self.path("x.npy"), np.random.default_rng(3).standard_normal((50, 16)).astype(np.float32))
        self.write_spec(**layer["spec"])
        self.route()
        by_spec = [np.load(self.path(f"out.{name}.npy")) for name in ("ids", "weights", "counts")]
        self.evenkeel("route", "--model", self.path("config.json"), "--layer", layer["name"], "--logits",
                      self.path("x.npy"), "--out", self.path("out"))
        for ours, name in zip(by_spec, ("ids", "weights", "counts")):
            np.testing.assert_array_equal(np.load(self.path(f"out.{name}.npy")), ours)
        np.testing.assert_allclose(by_spec[1].sum(axis=1), 2.826, rtol=1e-6)

    def write_safetensors(self, name, tensors):
        """As the format's description says, from a dict of float32 arrays."""
        header, data = {"__metadata__": {"made": "by hand"}}, b""
        for tensor, array in tensors.items():
            begin, data = len(data), data + array.astype("<f4").tobytes()
            header[tensor] = {"dtype": "F32", "shape": array.shape, "data_offsets": [begin, len(data)]}
        text = json.dumps(header).encode()
        (self.folder / name).write_bytes(struct.pack("<Q", len(text)) + text + data)

    def read_safetensors(self, name):
        file = (self.folder / name).read_bytes()
        length, = struct.unpack("<Q", file[:8])
        header, data = json.loads(file[8:8 + length]), file[8 + length:]
        self.assertEqual(header.pop("__metadata__")["format"], "pt")
        arrays = {}
        for tensor, entry in header.items():
            self.assertEqual(entry["dtype"], "F32")
            arrays[tensor] = np.frombuffer(data[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        return arrays

    def test_biases_go_from_one_software_to_another(self):
        rng = np.random.default_rng(17)
        biases = {layer: (rng.standard_normal(64) * 0.3 + 6.9).astype(np.float32) for layer in (1, 2, 11)}
        (self.folder / "shards").mkdir()
        for layer, bias in biases.items():
            self.write_safetensors(f"shards/{layer}.safetensors", {
                f"model.layers.{layer}.mlp.gate.e_score_correction_bias": bias,
                f"model.layers.{layer}.mlp.gate.weight": rng.standard_normal((64, 3))})
        (self.folder / "job.json").write_text(json.dumps({"name": "tune", "contributors": 4, "layers": [
            {"name": f"model.layers.{layer}.mlp.gate", "num_experts": 64, "top_k": 6} for layer in biases]}))
        summary = json.loads(self.evenkeel(
            "import", "--tensors", self.path("shards"), "--scheme=hf", "--spec", self.path("job.json"), "--out",
            self.path("state"), "--json").stdout)
        self.assertEqual(len(summary["layers"]), 3)

        export = ("export", "--state", self.path("state"), "--out", self.path("out.safetensors"), "--json")
        self.evenkeel(*export, "--scheme=torchtitan")
        exported = self.read_safetensors("out.safetensors")
        self.assertEqual(set(exported), {f"layers.{layer}.moe.expert_bias_E" for layer in biases})
        for layer, bias in biases.items():
            wide = bias.astype(np.float64)
            np.testing.assert_array_equal(exported[f"layers.{layer}.moe.expert_bias_E"],
                                          (wide - wide.mean()).astype(np.float32))

        offsets = json.loads(self.evenkeel(*export, "--scheme=olmo", "--offset=positive").stdout)
        for entry in offsets["layers"]:
            tensor = self.read_safetensors("out.safetensors")[entry["tensor"]]
            self.assertEqual(tensor.min(), 2.0 ** -10)
            self.assertEqual(entry["least"], 2.0 ** -10)

    def test_status_without_a_coordinator_says_what_to_do(self):
        # Port 1 needs a privilege that nobody has used here.
        result = self.evenkeel("status", "--coordinator", "127.0.0.1:1", code=1)
        self.assertTrue(result.stderr.startswith("evenkeel status: no coordinator answers at 127.0.0.1:1"))
        self.assertEqual(result.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
