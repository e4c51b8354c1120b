"""Rows that two routers routed, compared: experts as sets with their weights, ties left out.

Both routers score in float32, each in its own order of operations. They must agree wherever the choice does not hang on
the last bits of a score; a row whose choice does is a tie, and is dropped before the comparison. What a router does is
said by its RouteSpec, a dict in the words of kernels/routing.
"""

import dataclasses

import numpy as np

ULP = 2.0**-23  # the spacing of float32 at 1

# Two choices nearer than this, relative to the numbers that they are made of, are a tie. A sigmoid in float32 is good
# to about 2 ulp, a softmax over E <= 64 experts or the sum of a group to a few more, in either router.
TIE = 16 * ULP

# How far two weights may differ, relative to the larger. A weight is a score (2 ulp) or an exponential over a sum (4),
# over a sum of such (1), times a scale (1/2), in either router; errors seldom add up, and 3 ulp is the most seen. For
# PyTorch's softmax, softmax_rounding() comes on top.
WEIGHT_TOLERANCE = 8 * ULP

# Below the smallest normal float32 weights are the same: exponentials so small are rounded, or flushed, as each router
# likes.
NEGLIGIBLE = 2.0**-126

SHOWN = 3  # rows that differ, of each comparison


@dataclasses.dataclass
class Comparison:
    """What came of comparing some rows."""

    compared: int = 0
    dropped: int = 0  # ties
    different: int = 0
    worst_ulp: float = 0.0  # of the weights of rows with the same experts
    shown: list = dataclasses.field(default_factory=list)  # the first rows that differ, and what each router said

    def add(self, other):
        self.compared += other.compared
        self.dropped += other.dropped
        self.different += other.different
        self.worst_ulp = max(self.worst_ulp, other.worst_ulp)
        self.shown += other.shown


def softmax_rounding(spec, logits):
    """[T, E]: how far off, relative to it, a weight of PyTorch's may be for rounding x - max before the exponential.

    Half an ulp of the distance, by the distance itself, and as much again where the weights are normalised. Ours takes
    the exponential of the exact difference. Distances beyond those of weights that are NEGLIGIBLE do not count.
    """
    if "SOFTMAX" not in spec.get("score", "SIGMOID") + spec.get("weight", "SCORE"):
        return np.zeros(logits.shape)
    logits = np.asarray(logits, dtype=np.float64)
    return ULP * np.minimum(logits.max(axis=-1, keepdims=True) - logits, 104)


def compare(theirs, ours, tied, rounding=None):
    """Compares (ids, weights) with (ids, weights), each [T, K], in the rows that are not `tied`.

    `rounding`, [T, E], is what an expert's weight may differ by, relative to it, besides WEIGHT_TOLERANCE.
    """
    kept = np.flatnonzero(~tied)
    their_ids, their_weights = _by_id(*(values[kept] for values in theirs))
    our_ids, our_weights = _by_id(*(values[kept] for values in ours))
    same_ids = (their_ids == our_ids).all(axis=-1)
    largest = np.maximum(np.abs(their_weights), np.abs(our_weights))
    difference = np.abs(their_weights - our_weights)
    tolerance = WEIGHT_TOLERANCE
    if rounding is not None:
        tolerance = tolerance + np.take_along_axis(rounding[kept], np.maximum(their_ids, 0), axis=-1)
    # A NaN on either side is a difference.
    different = ~(same_ids & (difference <= tolerance * largest + NEGLIGIBLE).all(axis=-1))
    ulps = np.divide(difference, largest * ULP, out=np.zeros_like(difference), where=largest > NEGLIGIBLE)
    return Comparison(
        compared=len(kept),
        dropped=int(tied.sum()),
        different=int(different.sum()),
        worst_ulp=float(ulps[same_ids].max(initial=0)),
        shown=[
            f"row {kept[row]}: theirs {_text(their_ids[row], their_weights[row])},"
            f" ours {_text(our_ids[row], our_weights[row])}"
            for row in np.flatnonzero(different)[:SHOWN]
        ],
    )


def tied_rows(spec, logits, bias):
    """bool [T]: the rows in which a choice of groups or of experts is a tie."""
    logits = np.asarray(logits, dtype=np.float64)
    bias = np.asarray(bias, dtype=np.float64)
    top_k = spec["top_k"]
    scores = score(spec.get("score", "SIGMOID"), logits)
    if spec.get("scale_before_bias"):
        scores = scores * spec.get("scale", 1)
    biased = scores + bias
    size = np.maximum(np.abs(biased), np.maximum(np.abs(scores), np.abs(bias)))
    if spec.get("score") == "LOGIT":
        # Their module may choose by a softmax or sigmoid of what ours chooses by, which tells logits apart by their
        # difference, however small they are.
        size = np.maximum(size, 1)
    tied = np.zeros(len(logits), dtype=bool)
    if spec.get("num_groups", 0) not in (0, 1, -1):
        by_group = (len(logits), spec["num_groups"], -1)
        group_biased = (biased if spec.get("group_score_biased", True) else scores).reshape(by_group)
        terms = group_terms(spec)
        group_scores = np.sort(group_biased, axis=-1)[..., -terms:].sum(axis=-1)
        tied |= _near(group_scores, terms * size.reshape(by_group).max(axis=-1), spec["top_groups"])
        dropped_groups = _ranks(group_scores) >= spec["top_groups"]
        fill = 0.0 if spec.get("dropped_group_fill", "NEG_INF") == "ZERO" else -np.inf
        biased = np.where(np.repeat(dropped_groups, group_biased.shape[-1], axis=-1), fill, biased)
    tied |= _near(biased, size, top_k)
    if spec.get("weight") == "SIGMOID_OF_SELECTED" and spec.get("score") == "LOGIT":
        sigmoids = score("SIGMOID", biased)
        tied |= _near(sigmoids, sigmoids, top_k)
    return tied


def score(name, logits):
    """What the bias is added to, in float64."""
    if name == "SIGMOID":
        return 1 / (1 + np.exp(-logits))
    if name == "SQRT_SOFTPLUS":
        return np.sqrt(np.logaddexp(0, logits))
    if name == "SOFTMAX":
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)
    if name == "LOGIT":
        return logits
    raise ValueError(f"score is {name}")


def group_terms(spec):
    """How many experts make a group's score."""
    name = spec.get("group_score", "TOP2_SUM")
    return {"TOP2_SUM": 2, "MAX": 1, "TOPK_SUM": spec["top_k"] // spec["top_groups"]}[name]


def _near(values, size, count):
    """bool [T]: whether the count-th and the next largest of a row are nearer than TIE times the larger's size."""
    if count >= values.shape[-1]:
        return np.zeros(len(values), dtype=bool)
    pair = np.argsort(-values, axis=-1, kind="stable")[:, count - 1 : count + 1]
    last, next_best = np.take_along_axis(values, pair, axis=-1).T
    with np.errstate(invalid="ignore"):  # both dropped: inf - inf, and near
        return ~(last - next_best > TIE * np.take_along_axis(size, pair, axis=-1).max(axis=-1))


def _ranks(values):
    """Each value's place in its row, from the largest, 0."""
    return np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1, kind="stable")


def _by_id(ids, weights):
    order = np.argsort(ids, axis=-1, kind="stable")
    return np.take_along_axis(ids, order, axis=-1), np.take_along_axis(weights, order, axis=-1).astype(np.float64)


def _text(ids, weights):
    return " ".join(f"{expert}:{weight:.8g}" for expert, weight in zip(ids, weights))
