"""Whether the safetensors package and ours read each other's files: a bias goes from the package through import and
export, under every scheme, back to the package, with its bits. Called by run.sh."""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from evenkeel import Evenkeel, Refused

EXPERTS = 128
LAYERS = (0, 3, 27)
SEED = 4


def centred_biases():
    """Whose mean float32 cannot tell from 0: import leaves their bits alone."""
    torch.manual_seed(SEED)
    halves = {layer: torch.randn(EXPERTS // 2) * 0.2 for layer in LAYERS}
    return {layer: torch.cat([half, -half]) for layer, half in halves.items()}


def checks(evenkeel):
    """Yields what is wrong."""
    folder = Path(evenkeel.folder.name)
    (folder / "job.json").write_text(json.dumps({"name": "peer", "contributors": 1, "layers": [
        {"name": f"model.layers.{layer}.mlp.gate", "num_experts": EXPERTS, "top_k": 8} for layer in LAYERS]}))
    biases = centred_biases()
    gate = "model.layers.{}.mlp.gate.e_score_correction_bias"
    # Tensors of other types and shapes stand beside, as in a real checkpoint.
    beside = {"a.weight": torch.randn(3, 5, dtype=torch.bfloat16), "b": torch.zeros(0, 4), "c": torch.tensor(7),
              "d": torch.tensor([True, False, True]), "e": torch.zeros(3, dtype=torch.float8_e4m3fn)}
    save_file({**{gate.format(layer): bias for layer, bias in biases.items()}, **beside}, folder / "in.safetensors",
              metadata={"format": "pt"})
    importing = ["import", "--tensors", f"{folder}/in.safetensors", "--scheme=hf", "--spec", f"{folder}/job.json",
                 "--out", f"{folder}/state"]
    evenkeel.run(*importing)
    for scheme in ("hf", "megatron", "torchtitan", "olmo", "hyper_parallel", "axolotl"):
        summary = json.loads(evenkeel.run("export", "--state", f"{folder}/state", "--scheme", scheme, "--out",
                                          f"{folder}/out.safetensors", "--json"))
        tensors = load_file(folder / "out.safetensors")
        if set(tensors) != {entry["tensor"] for entry in summary["layers"]}:
            yield f"{scheme}: {sorted(tensors)}"
        for entry in summary["layers"]:
            layer = int(entry["layer"].split(".")[2])
            if not torch.equal(tensors[entry["tensor"]], biases[layer]):
                yield f"{scheme}: {entry['tensor']} has other bits"
    with safe_open(folder / "out.safetensors", "pt") as file:
        if file.metadata()["format"] != "pt":
            yield f"metadata: {file.metadata()}"

    save_file({gate.format(layer): bias.bfloat16() for layer, bias in biases.items()}, folder / "in.safetensors")
    try:
        evenkeel.run(*importing)
        yield "a bias in bfloat16 was taken"
    except Refused as refused:
        if "BF16" not in str(refused):
            yield str(refused)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", default="bazel-bin", help="where Evenkeel's binaries are")
    found = list(checks(Evenkeel(parser.parse_args().binaries)))
    print("\n".join(found) or "safetensors: same")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
