"""The routers of the model families as their model code writes them in eager PyTorch: what training pays without us.

A child of route_benchmark, or of the benchmark on the GPU, which talk to it in JSON, one object a line: a request on
stdin, its answer on stdout.

  {"op": "hello"}    -> {"torch": version, "threads": n, "device": name}
  {"op": "prepare", "rows": T, "dtype": "f32" | "bf16", "spec": RouteSpec}
                     -> {"router": name, "warm_up": calls}   makes logits and bias, and calls the router a while
  {"op": "turn", "seconds": s}
                     -> {"route_seconds": s, "count_seconds": s, "calls": n}   what was prepared is called for that long
                        (once at least), and once before; seconds of a call, counting apart
  {"op": "graph", "seconds": s}
                     -> {"seconds": s, "calls": n}   on a GPU: the same in a CUDA graph, counting included

On a GPU, seconds are those between events on the stream: of the operators, and of waiting for the next to be launched.
bincount, with which model code counts, waits for the GPU and cannot be in a graph; there scatter_add_ takes its place.

A RouteSpec is that of kernels/routing, in JSON; only what model code can do is taken. A request that cannot be answered
gets {"error": why}. Without PyTorch the program says so in one line on stderr and exits 77.

  eager_router.py [--threads N] [--device cpu|cuda]     N: threads of PyTorch's operators (all cores)
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

WARM_UP_SECONDS = {"cpu": 0.3, "cuda": 0.1}
WARM_UP_CALLS = 3
GRAPH_CALLS = 10  # in one graph, so that launching it does not count


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


class CpuClock:
    """Marks on the time of a CPU, where an operator has run when it returns."""

    @staticmethod
    def mark():
        return time.perf_counter()

    @staticmethod
    def seconds(marks):
        """From each mark to the next."""
        return [end - begin for begin, end in zip(marks, marks[1:])]


class CudaClock:
    """Marks on the time of a GPU: events between operators."""

    @staticmethod
    def mark():
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @staticmethod
    def seconds(marks):
        marks[-1].synchronize()
        return [begin.elapsed_time(end) / 1e3 for begin, end in zip(marks, marks[1:])]


CLOCKS = {"cpu": CpuClock, "cuda": CudaClock}


class Case:
    """Logits, bias and router of one shape."""

    def __init__(self, request, device="cpu"):
        self.spec = request["spec"]
        self.device = device
        self.clock = CLOCKS[device]
        self.router = router_of(self.spec)
        generator = torch.Generator(device).manual_seed(1)
        experts = self.spec["num_experts"]
        self.logits = torch.randn(request["rows"], experts, generator=generator, device=device)
        if request["dtype"] == "bf16":
            self.logits = self.logits.bfloat16()
        self.bias = 0.01 * torch.randn(experts, generator=generator, device=device)

    def warm_up(self):
        calls = 0
        start = time.perf_counter()
        while calls < WARM_UP_CALLS or time.perf_counter() - start < WARM_UP_SECONDS[self.device]:
            self.call()
            calls += 1
        return calls

    def call(self):
        """Seconds of one call, and of counting what it chose."""
        marks = [self.clock.mark()]
        ids, _ = self.router(self.logits, self.bias, self.spec)
        marks.append(self.clock.mark())
        count(ids, self.spec["num_experts"])
        marks.append(self.clock.mark())
        return self.clock.seconds(marks)

    def turn(self, seconds):
        self.call()
        end = time.perf_counter() + seconds
        calls = [self.call()]
        while time.perf_counter() < end:
            calls.append(self.call())
        route, counting = (sum(each) / len(calls) for each in zip(*calls))
        return {"route_seconds": route, "count_seconds": counting, "calls": len(calls)}

    def captured(self):
        """A CUDA graph of GRAPH_CALLS calls."""
        counts = torch.zeros(self.spec["num_experts"], dtype=torch.int64, device=self.device)
        ones = torch.ones(self.logits.shape[0] * self.spec["top_k"], dtype=torch.int64, device=self.device)

        def call():
            ids, _ = self.router(self.logits, self.bias, self.spec)
            counts.scatter_add_(0, ids.view(-1), ones)

        # What an operator allocates once must be there before capture, and on a stream of its own, as PyTorch has it.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_CALLS):
                call()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(GRAPH_CALLS):
                call()
        return graph

    def graph_turn(self, seconds):
        if self.device != "cuda":
            raise ValueError("a CUDA graph needs --device cuda")
        graph = self.captured()
        replays = []
        graph.replay()
        end = time.perf_counter() + seconds
        while not replays or time.perf_counter() < end:
            begin = self.clock.mark()
            graph.replay()
            replays += self.clock.seconds([begin, self.clock.mark()])
        calls = len(replays) * GRAPH_CALLS
        return {"seconds": sum(replays) / calls, "calls": calls}


def answer(request, case, device):
    """(answer, the case that is prepared from now on)."""
    if request["op"] == "hello":
        name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        return {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": name}, case
    if request["op"] == "prepare":
        case = Case(request, device)
        return {"router": case.router.__name__, "warm_up": case.warm_up()}, case
    if request["op"] == "turn":
        return case.turn(request["seconds"]), case
    if request["op"] == "graph":
        return case.graph_turn(request["seconds"]), case
    raise ValueError(f"op is {request['op']}; hello, prepare, turn and graph are known")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", choices=sorted(CLOCKS), default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    case = None
    with torch.inference_mode():
        for line in sys.stdin:
            try:
                reply, case = answer(json.loads(line), case, arguments.device)
            except (ValueError, KeyError, AttributeError, AssertionError, RuntimeError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
