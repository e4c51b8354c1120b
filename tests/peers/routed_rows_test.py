"""routed_rows.py: what counts as a tie, and what as a difference."""

import sys
import unittest

import numpy as np

import routed_rows
from routed_rows import ULP

SIGMOID = {"num_experts": 4, "top_k": 2, "score": "SIGMOID"}
GROUPED = {"num_experts": 8, "top_k": 2, "score": "SIGMOID", "num_groups": 4, "top_groups": 2}
NO_BIAS = np.zeros(4)


def logit(score):
    return np.log(np.asarray(score)) - np.log1p(-np.asarray(score))


def tied(spec, scores, bias=0.0):
    """Whether one row is a tie, given the sigmoids of its logits."""
    return bool(routed_rows.tied_rows(spec, logit([scores]), np.broadcast_to(bias, (len(scores),)))[0])


class TiedRowsTest(unittest.TestCase):
    def test_experts_at_the_boundary(self):
        self.assertFalse(tied(SIGMOID, [0.9, 0.5, 0.4, 0.1]))
        self.assertTrue(tied(SIGMOID, [0.9, 0.5, 0.5, 0.1]))
        self.assertTrue(tied(SIGMOID, [0.9, 0.5, 0.5 * (1 + 4 * ULP), 0.1]))
        self.assertFalse(tied(SIGMOID, [0.9, 0.5, 0.5 * (1 + 100 * ULP), 0.1]))

    def test_equal_experts_within_the_choice_or_outside_it_are_no_tie(self):
        self.assertFalse(tied(SIGMOID, [0.9, 0.9, 0.4, 0.4]))

    def test_the_bias_decides(self):
        self.assertTrue(tied(SIGMOID, [0.9, 0.5, 0.4, 0.1], [0, 0, 0.1, 0]))
        self.assertFalse(tied(SIGMOID, [0.9, 0.5, 0.5, 0.1], [0, 0, 0.1, 0]))

    def test_a_large_bias_hides_the_last_bits_of_a_score(self):
        scores = [0.9, 0.5, 0.5 * (1 + 100 * ULP), 0.1]
        self.assertFalse(tied(SIGMOID, scores, 0.0))
        self.assertTrue(tied(SIGMOID, scores, 50.0))

    def test_all_experts_chosen_is_no_tie(self):
        self.assertFalse(tied({**SIGMOID, "top_k": 4}, [0.5, 0.5, 0.5, 0.5]))

    def test_small_logits_must_differ_by_more_than_their_softmax_shows(self):
        spec = {"num_experts": 3, "top_k": 1, "score": "LOGIT", "weight": "SOFTMAX_OF_SELECTED"}
        logits = np.array([[1e-9, 2e-9, -1.0], [1e-3, 2e-3, -1.0]])
        np.testing.assert_array_equal(routed_rows.tied_rows(spec, logits, np.zeros(3)), [True, False])

    def test_large_logits_must_differ_by_more_than_their_sigmoid_shows(self):
        logits = np.array([[20.0, 21.0, 0.0]])
        for weight, expected in (("SIGMOID_OF_SELECTED", True), ("SOFTMAX_OF_SELECTED", False)):
            spec = {"num_experts": 3, "top_k": 1, "score": "LOGIT", "weight": weight}
            self.assertEqual(bool(routed_rows.tied_rows(spec, logits, np.zeros(3))[0]), expected)

    def test_groups_at_the_boundary(self):
        #           group 0   1         2         3
        distinct = [0.9, 0.1, 0.8, 0.7, 0.2, 0.3, 0.4, 0.05]
        self.assertFalse(tied(GROUPED, distinct))
        equal = [0.6, 0.1, 0.8, 0.7, 0.3, 0.4, 0.4, 0.05]  # groups 0 and 2: 0.7 each
        self.assertTrue(tied(GROUPED, equal))
        self.assertFalse(tied({**GROUPED, "group_score": "MAX"}, equal))

    def test_experts_of_dropped_groups_do_not_tie_unless_they_are_filled_with_zero(self):
        scores = [0.9, 0.6, 0.8, 0.7, 0.3, 0.3, 0.3, 0.3]
        bias = [0, -1, -1, -1, 0, 0, 0, 0]  # kept: 0.9, -0.4, -0.2, -0.3
        spec = {**GROUPED, "group_score_biased": False}
        self.assertFalse(tied(spec, scores, bias))
        self.assertTrue(tied({**spec, "dropped_group_fill": "ZERO"}, scores, bias))

    def test_an_unknown_score_is_refused(self):
        with self.assertRaisesRegex(ValueError, "score is TANH"):
            routed_rows.tied_rows({**SIGMOID, "score": "TANH"}, np.zeros((1, 4)), NO_BIAS)


def compare(theirs, ours, tied_row=False, rounding=None):
    """Compares one row of {id: weight} with another, given in any order."""
    sides = [
        (np.array([list(side)]), np.array([list(side.values())], dtype=np.float32)) for side in (theirs, ours)
    ]
    return routed_rows.compare(*sides, np.array([tied_row]), rounding)


class CompareTest(unittest.TestCase):
    def test_order_does_not_matter(self):
        result = compare({3: 0.75, 1: 0.25}, {1: 0.25, 3: 0.75})
        self.assertEqual((result.compared, result.different, result.worst_ulp), (1, 0, 0))

    def test_other_experts_differ(self):
        result = compare({3: 0.75, 1: 0.25}, {2: 0.25, 3: 0.75})
        self.assertEqual(result.different, 1)
        self.assertEqual(result.shown, ["row 0: theirs 1:0.25 3:0.75, ours 2:0.25 3:0.75"])

    def test_swapped_weights_differ(self):
        self.assertEqual(compare({3: 0.75, 1: 0.25}, {3: 0.25, 1: 0.75}).different, 1)

    def test_weights_may_differ_by_a_few_ulp(self):
        near = compare({3: 0.5, 1: 0.5}, {3: 0.5 * (1 + 4 * ULP), 1: 0.5})
        self.assertEqual(near.different, 0)
        self.assertAlmostEqual(near.worst_ulp, 4, places=2)
        self.assertEqual(compare({3: 0.5, 1: 0.5}, {3: 0.5 * (1 + 9 * ULP), 1: 0.5}).different, 1)

    def test_a_softmax_may_be_off_by_the_distance_from_the_maximum(self):
        logits = np.array([[3.0, 63.0]])
        softmax = routed_rows.softmax_rounding({"score": "SOFTMAX"}, logits)
        self.assertEqual(softmax.tolist(), [[60 * ULP, 0]])
        of_selected = routed_rows.softmax_rounding({"weight": "SOFTMAX_OF_SELECTED"}, logits)
        self.assertEqual(softmax.tolist(), of_selected.tolist())
        self.assertFalse(routed_rows.softmax_rounding(SIGMOID, logits).any())
        far_off = ({0: 1e-20, 1: 1.0}, {0: 1e-20 * (1 + 60 * ULP), 1: 1.0})
        self.assertEqual(compare(*far_off, rounding=softmax).different, 0)
        self.assertEqual(compare(*far_off).different, 1)
        self.assertEqual(compare({1: 1.0}, {1: 1 + 60 * ULP}, rounding=softmax).different, 1)

    def test_the_bound_is_relative(self):
        self.assertEqual(compare({0: 1e-12}, {0: 1.01e-12}).different, 1)

    def test_subnormal_weights_are_the_same(self):
        near = compare({0: 1e-39}, {0: 0.0})
        self.assertEqual((near.different, near.worst_ulp), (0, 0))
        self.assertEqual(compare({0: 1e-37}, {0: 0.0}).different, 1)

    def test_nan_differs(self):
        self.assertEqual(compare({0: 0.5}, {0: float("nan")}).different, 1)

    def test_a_short_slot_differs(self):
        self.assertEqual(compare({0: 0.5, 1: 0.0}, {0: 0.5, -1: 0.0}).different, 1)

    def test_ties_are_counted_and_not_compared(self):
        result = compare({3: 1.0}, {2: 1.0}, tied_row=True)
        self.assertEqual((result.compared, result.dropped, result.different), (0, 1, 0))

    def test_comparisons_add_up(self):
        total = compare({3: 1.0}, {2: 1.0})
        total.add(compare({3: 1.0}, {3: 1.0 + 2 * ULP}))
        total.add(compare({3: 1.0}, {3: 1.0}, tied_row=True))
        self.assertEqual((total.compared, total.dropped, total.different, len(total.shown)), (2, 1, 1, 1))
        self.assertAlmostEqual(total.worst_ulp, 2, places=2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
