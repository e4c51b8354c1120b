"""Whether eager_router.py, which route_benchmark measures beside ours, does the same work: the same experts with the
same weights in every row without a tie, and the same counts. Called by run.sh."""

import argparse
import sys

import numpy as np
import torch

import eager_router
import routed_rows
from evenkeel import Evenkeel

ROWS = 2048
SEED = 1
GROUPED = {
    "num_experts": 256, "top_k": 8, "score": "SIGMOID", "num_groups": 8, "top_groups": 4,
    "normalize": True, "normalize_epsilon": 1e-20, "scale": 2.5,
}
LOGITS = {"num_experts": 128, "top_k": 8, "score": "LOGIT"}
SPECS = (
    GROUPED,
    {**GROUPED, "num_experts": 64, "scale": 1.0},
    {**GROUPED, "num_experts": 384, "num_groups": 0, "top_groups": 0},
    {**LOGITS, "weight": "SOFTMAX_OF_SELECTED"},
    {**LOGITS, "weight": "SOFTMAX"},
    {**LOGITS, "num_experts": 8, "top_k": 2, "weight": "SOFTMAX_OF_SELECTED"},
)


def differences(evenkeel, spec, dtype):
    """Routes the rows of a case with both; yields what differs."""
    torch.manual_seed(SEED)
    case = eager_router.Case({"rows": ROWS, "dtype": dtype, "spec": spec})
    if case.router is eager_router.softmax_router:
        case.bias.zero_()  # which it does not read
    with torch.inference_mode():
        ids, weights = case.router(case.logits, case.bias, spec)
        counts = eager_router.count(ids, spec["num_experts"])
    logits = case.logits.float().numpy()
    ours = evenkeel.route_by_spec(spec, logits, case.bias.numpy())
    tied = routed_rows.tied_rows(spec, logits, case.bias.numpy())
    rows = routed_rows.compare((ids.numpy(), weights.numpy()), ours, tied)
    print(f"{rows.compared} rows compared, {rows.dropped} ties dropped, worst weight {rows.worst_ulp:.1f} ulp", end="")
    yield from rows.shown
    # Logits of bfloat16 tie often where no bias tells them apart.
    if rows.compared < ROWS // 2:
        yield f"{rows.dropped} of {ROWS} rows are ties: too many to say anything"
    if not (counts.numpy() == np.bincount(ids.numpy().ravel(), minlength=spec["num_experts"])).all():
        yield f"counts: {counts.tolist()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", default="bazel-bin", help="where Evenkeel's binaries are")
    evenkeel = Evenkeel(parser.parse_args().binaries)
    failed = False
    for spec in SPECS:
        for dtype in ("f32", "bf16"):
            print(f"{spec} {dtype}: ", end="")
            found = list(differences(evenkeel, spec, dtype))
            print("".join(f"\n  {what}" for what in found) or ": same")
            failed |= bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
