"""The routers of the model families as their model code writes them in eager PyTorch: what training pays without us.

A child of route_benchmark, which talks to it in JSON, one object a line: a request on stdin, its answer on stdout.

  {"op": "hello"}    -> {"torch": version, "threads": n}
  {"op": "prepare", "rows": T, "dtype": "f32" | "bf16", "spec": RouteSpec}
                     -> {"router": name, "warm_up": calls}   makes logits and bias, and calls the router a while
  {"op": "turn", "seconds": s}
                     -> {"route_seconds": s, "count_seconds": s, "calls": n}   what was prepared is called for that long
                        (once at least), and once before; seconds of a call, counting apart

A RouteSpec is that of kernels/routing, in JSON; only what model code can do is taken. A request that cannot be answered
gets {"error": why}. Without PyTorch the program says so in one line on stderr and exits 77.

  eager_router.py [--threads N]     N: threads of PyTorch's operators (all cores)
"""

import argparse
import json
import os
import sys
import time

try:
    import torch
except ImportError as missing:
    print(f"eager_router: skipped, PyTorch cannot be imported: {missing}", file=sys.stderr)
    sys.exit(77)

WARM_UP_SECONDS = 0.3
WARM_UP_CALLS = 3


def sigmoid_router(logits, bias, spec):
    """DeepSeek-V3 and those after it: ids and weights, int64 and float32 [T, K]."""
    scores = logits.float().sigmoid()
    choice = scores + bias
    groups = spec.get("num_groups", 0)
    if groups > 1:
        experts_each = spec["num_experts"] // groups
        grouped = choice.view(-1, groups, experts_each)
        group_scores = grouped.topk(2, dim=-1)[0].sum(dim=-1)
        kept = torch.topk(group_scores, k=spec["top_groups"], dim=-1, sorted=False)[1]
        mask = torch.zeros_like(group_scores).scatter_(1, kept, 1)
        mask = mask.unsqueeze(-1).expand(-1, groups, experts_each).reshape(-1, spec["num_experts"])
        choice = choice.masked_fill(~mask.bool(), float("-inf"))
    ids = torch.topk(choice, k=spec["top_k"], dim=-1, sorted=False)[1]
    weights = scores.gather(1, ids)
    if spec.get("normalize", False):
        weights /= weights.sum(dim=-1, keepdim=True) + spec.get("normalize_epsilon", 0)
    return ids, weights * spec.get("scale", 1)


def softmax_router(logits, bias, spec):
    """Mixtral, Qwen3 and OLMoE: softmax first, then the best of it, without a bias. `normalize` as the model has it."""
    probabilities = torch.nn.functional.softmax(logits, dim=-1, dtype=torch.float32)
    weights, ids = torch.topk(probabilities, spec["top_k"], dim=-1)
    if spec["weight"] == "SOFTMAX_OF_SELECTED":
        weights /= weights.sum(dim=-1, keepdim=True)
    return ids, weights


def count(ids, num_experts):
    """How many tokens each expert got."""
    return torch.bincount(ids.view(-1), minlength=num_experts)


def router_of(spec):
    """The model code's router for a spec; ValueError for a spec that none of them is."""
    kind = (spec.get("score", "SIGMOID"), spec.get("weight", "SCORE"))
    if kind == ("SIGMOID", "SCORE"):
        return sigmoid_router
    plain = spec.get("num_groups", 0) <= 1 and not spec.get("normalize", False) and spec.get("scale", 1) == 1
    if plain and kind in (("LOGIT", "SOFTMAX_OF_SELECTED"), ("LOGIT", "SOFTMAX")):
        return softmax_router
    raise ValueError(f"no model code here routes {spec}")


class Case:
    """Logits, bias and router of one shape."""

    def __init__(self, request):
        self.spec = request["spec"]
        self.router = router_of(self.spec)
        generator = torch.Generator().manual_seed(1)
        experts = self.spec["num_experts"]
        self.logits = torch.randn(request["rows"], experts, generator=generator)
        if request["dtype"] == "bf16":
            self.logits = self.logits.bfloat16()
        self.bias = 0.01 * torch.randn(experts, generator=generator)

    def warm_up(self):
        calls = 0
        start = time.perf_counter()
        while calls < WARM_UP_CALLS or time.perf_counter() - start < WARM_UP_SECONDS:
            self.call()
            calls += 1
        return calls

    def call(self):
        """Seconds of one call, and of counting what it chose."""
        start = time.perf_counter()
        ids, _ = self.router(self.logits, self.bias, self.spec)
        routed = time.perf_counter()
        count(ids, self.spec["num_experts"])
        return routed - start, time.perf_counter() - routed

    def turn(self, seconds):
        self.call()
        end = time.perf_counter() + seconds
        calls = [self.call()]
        while time.perf_counter() < end:
            calls.append(self.call())
        route, counting = (sum(each) / len(calls) for each in zip(*calls))
        return {"route_seconds": route, "count_seconds": counting, "calls": len(calls)}


def answer(request, case):
    """(answer, the case that is prepared from now on)."""
    if request["op"] == "hello":
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}, case
    if request["op"] == "prepare":
        case = Case(request)
        return {"router": case.router.__name__, "warm_up": case.warm_up()}, case
    if request["op"] == "turn":
        return case.turn(request["seconds"]), case
    raise ValueError(f"op is {request['op']}; hello, prepare and turn are known")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    torch.set_num_threads(parser.parse_args().threads)
    case = None
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                reply, case = answer(json.loads(line), case)
            except (ValueError, KeyError, AttributeError, RuntimeError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
