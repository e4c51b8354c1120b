"""The backward pass of routing against PyTorch's autograd of the same formulas in float64.

Ids are random and the same for both: distinct, in any order, with short slots and masked rows among them. Every weight
mode, score and normaliser, scaled at the end and before the bias; gradients by the weights, dense, and both; logits in
float32 and float16; the reference and the CPU pass, which must be the same bits. One line a case.

  backward_against_autograd.py [--binaries DIR]     DIR: where Evenkeel's binaries are (bazel-bin)

Without PyTorch the program says so in one line on stderr and exits 77.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"backward_against_autograd: skipped, PyTorch cannot be imported: {missing}", file=sys.stderr)
    sys.exit(77)

SEED = 1
ROWS = 64
SHAPES = ((7, 3), (60, 4), (128, 8), (256, 8), (384, 22))  # experts, slots

# Of the largest gradient of a row, in units of 2^-24. Gradients are differences of terms; where all of a row's happen
# to cancel, what is left of them has an error of many units. A wrong formula is off by more than 10,000.
TOLERANCE = 256
UNIT = 2.0**-24

NORMALIZERS = {
    "not normalised": {},
    "by the sum": {"normalize": True},
    "by the sum and epsilon": {"normalize": True, "normalize_epsilon": 0.5, "normalize_min": 1e-12},
    "by the minimum": {"normalize": True, "normalize_min": 1e4},
}
MODES = [("SCORE", score) for score in ("SIGMOID", "SQRT_SOFTPLUS", "LOGIT", "SOFTMAX")]
MODES += [(weight, "LOGIT") for weight in ("SOFTMAX", "SOFTMAX_OF_SELECTED", "SIGMOID_OF_SELECTED")]


def scores_of(name, logits):
    if name == "SIGMOID":
        return torch.sigmoid(logits)
    if name == "SQRT_SOFTPLUS":
        return torch.nn.functional.softplus(logits, threshold=1e3).sqrt()
    return torch.softmax(logits, dim=-1) if name == "SOFTMAX" else logits


def weights_of(spec, logits, ids):
    """The weights [T, K] of given ids, 0 in short slots, by operations that autograd knows."""
    is_short = ids < 0
    experts = ids.clamp(min=0)
    chosen = logits.gather(1, experts)
    scaled_already = spec["scale_before_bias"] and spec["weight"] == "SCORE"
    if spec["weight"] == "SCORE":
        values = scores_of(spec["score"], logits).gather(1, experts)
        values = values * spec["scale"] if scaled_already else values
    elif spec["weight"] == "SOFTMAX":
        values = torch.softmax(logits, dim=-1).gather(1, experts)
    elif spec["weight"] == "SOFTMAX_OF_SELECTED":
        # A row of nothing but short slots has no softmax; what stands in for it is masked below.
        values = torch.softmax(chosen.masked_fill(is_short & ~is_short.all(dim=-1, keepdim=True), -torch.inf), dim=-1)
    else:
        values = torch.sigmoid(chosen)
    values = values.masked_fill(is_short, 0)
    if spec.get("normalize"):
        total = values.sum(dim=-1, keepdim=True) + spec.get("normalize_epsilon", 0)
        divisor = total.clamp(min=spec.get("normalize_min", 0))
        values = values / divisor.where(divisor > 0, 1)
    return values if scaled_already else values * spec["scale"]


def autograd(spec, case):
    """d_logits by PyTorch, float64 [T, E]."""
    logits = torch.tensor(case["logits"], dtype=torch.float64, requires_grad=True)
    ids = torch.tensor(case["ids"], dtype=torch.int64)
    weights = weights_of(spec, logits, ids)
    loss = torch.zeros((), dtype=torch.float64)
    if "d_weights" in case:
        loss = loss + (weights * torch.tensor(case["d_weights"], dtype=torch.float64)).sum()
    if "d_probabilities" in case:
        dense = torch.zeros_like(logits).scatter_add(1, ids.clamp(min=0), weights)
        loss = loss + (dense * torch.tensor(case["d_probabilities"], dtype=torch.float64)).sum()
    loss.backward()
    return logits.grad.numpy()


def ours(runner, device, spec, case):
    """d_logits by Evenkeel, float32 [T, E]."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        for name, array in case.items():
            np.save(Path(folder, f"{name}.npy"), array)
        subprocess.run([runner, device, folder], check=True)
        return np.load(Path(folder, "d_logits.npy"))


def make_case(random, num_experts, top_k, gradients, dtype):
    ids = np.stack([random.permutation(num_experts)[:top_k] for _ in range(ROWS)]).astype(np.int32)
    ids[3, 0] = ids[4, top_k - 1] = ids[5, top_k // 2] = -1
    ids[6] = -1
    case = {
        # Above 0 on the whole: the sum of a row's logits is then a normaliser.
        "logits": random.normal(2, 1, (ROWS, num_experts)).astype(dtype),
        "ids": ids,
    }
    if gradients != "dense":
        case["d_weights"] = random.normal(size=(ROWS, top_k)).astype(dtype)
    if gradients != "by weights":
        case["d_probabilities"] = random.normal(size=(ROWS, num_experts)).astype(np.float32)
    return case


def check(runner, spec, case):
    """(error in units of the row's largest gradient, what is wrong)."""
    expected = autograd(spec, case)
    by_reference = ours(runner, "reference", spec, case)
    by_cpu = ours(runner, "cpu", spec, case)
    if by_cpu.tobytes() != by_reference.tobytes():
        return 0, "the CPU pass differs from the reference"
    size = np.abs(expected).max(axis=-1, keepdims=True)
    error = np.abs(by_reference - expected)
    worst = float(np.divide(error, size * UNIT, out=np.zeros_like(error), where=size > 0).max())
    if (by_reference[(size == 0)[:, 0]] != 0).any() or not np.isfinite(by_reference).all():
        return worst, "a row without a gradient has one, or one is not finite"
    return worst, "" if worst <= TOLERANCE else "DIFFERENT"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default="bazel-bin", help="where Evenkeel's binaries are")
    runner = Path(parser.parse_args().binaries) / "tests" / "peers" / "backward_runner"
    random = np.random.default_rng(SEED)
    failed = 0
    shapes = itertools.cycle(itertools.product(SHAPES, (np.float32, np.float16)))
    for (weight, score), (name, normalizer), before in itertools.product(MODES, NORMALIZERS.items(), (False, True)):
        spec = {"weight": weight, "score": score, **normalizer, "scale": 2.5, "scale_before_bias": before}
        worst, wrong = 0, ""
        for gradients in ("by weights", "dense", "both"):
            (num_experts, top_k), dtype = next(shapes)
            shaped = {**spec, "num_experts": num_experts, "top_k": top_k}
            error, fault = check(runner, shaped, make_case(random, num_experts, top_k, gradients, dtype))
            worst = max(worst, error)
            if fault:
                wrong += f"\n  {num_experts} experts, {gradients}, {np.dtype(dtype)}, {error:.1f} units: {fault}"
        scaled = "before the bias" if before else "at the end"
        print(f"{weight} of {score}, {name}, scaled {scaled}: worst error {worst:.1f} units{wrong}")
        failed += bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
