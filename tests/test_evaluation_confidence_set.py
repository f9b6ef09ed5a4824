"""The model confidence sets keep equals, drop the worse, and hold the best as often as they say."""

import numpy as np
import pytest

from clvmodels.evaluation.confidence_set import confidence_sets


def case(rng, means, *, n=200, replicates=200, shared=1.0):
    """Mean losses of methods over n customers, and bootstrap replicates of them; customers are hard for all alike."""
    losses = np.asarray(means) + shared * rng.normal(size=(n, 1)) + rng.normal(size=(n, len(means)))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=replicates)
    return losses.mean(axis=0), (counts @ losses / n).T


def of_one(losses, drawn):
    """The set of a single score."""
    (p_values,) = confidence_sets([losses], [drawn])
    return p_values


def plain(losses, drawn):
    """The same by loops over pairs: section 3.1.2 of Hansen, Lunde and Nason, with T_R."""
    left, p_values, so_far = list(range(len(losses))), {}, 0.0
    while len(left) > 1:
        t, largest = {}, np.zeros(drawn.shape[1])
        for i in left:
            for j in left:
                if i != j:
                    gap = losses[i] - losses[j]
                    away = drawn[i] - drawn[j] - gap
                    spread = np.mean(away**2) ** 0.5
                    t[i, j] = gap / spread
                    largest = np.maximum(largest, np.abs(away) / spread)
        so_far = max(so_far, (1 + np.sum(largest >= max(t.values()))) / (1 + drawn.shape[1]))
        worst = max(left, key=lambda i: max(t[i, j] for j in left if j != i))
        p_values[worst] = so_far
        left.remove(worst)
    p_values[left[0]] = 1.0
    return [p_values[i] for i in range(len(losses))]


@pytest.mark.parametrize("means", [[0, 0, 0, 0], [0, 0.1, 0.2, 0.5], [1, 0]])
def test_the_set_is_that_of_plain_loops(means):
    losses, drawn = case(np.random.default_rng(4), means)
    np.testing.assert_allclose(of_one(losses, drawn), plain(losses, drawn), rtol=1e-12)


@pytest.mark.parametrize("methods", [2, 6])
def test_among_equals_a_method_is_dropped_about_as_often_as_the_level_says(methods):
    # By single duels of six equals some method would look worse in about half of the cases.
    rng = np.random.default_rng(5)
    dropped = [(of_one(*case(rng, np.zeros(methods))) < 0.10).any() for _ in range(400)]
    assert abs(np.mean(dropped) - 0.10) < 4 * np.sqrt(0.1 * 0.9 / 400) + 0.01


def test_the_best_stays_in_the_set_and_the_far_worse_leave_it():
    rng = np.random.default_rng(6)
    sets = np.array([of_one(*case(rng, [0, 0.05, 1.0])) >= 0.10 for _ in range(200)])
    assert sets[:, 0].mean() > 0.90 - 4 * np.sqrt(0.1 * 0.9 / 200)
    assert not sets[:, 2].any()


def test_methods_that_never_differ_stay_together():
    losses, drawn = case(np.random.default_rng(7), [0, 1])
    p_values = of_one(losses[[0, 1, 0]], drawn[[0, 1, 0]])
    assert p_values[0] == 1 or p_values[2] == 1
    assert min(p_values[[0, 2]]) > 0.5
    assert p_values[1] < 0.01
    np.testing.assert_array_equal(of_one(losses[[0, 0]], drawn[[0, 0]]), [1, 1])


def test_a_difference_that_is_the_same_in_every_replicate_is_certain():
    _, drawn = case(np.random.default_rng(8), [0])
    p_values = of_one(np.array([0.0, 0.5]), np.vstack([drawn - drawn, drawn - drawn + 0.5]))
    np.testing.assert_allclose(p_values, [1, 1 / 201])


def test_the_order_of_methods_changes_nothing():
    losses, drawn = case(np.random.default_rng(9), [0.2, 0, 0.1, 0.1])
    order = np.array([2, 0, 3, 1])
    np.testing.assert_array_equal(of_one(losses[order], drawn[order]), of_one(losses, drawn)[order])


def test_without_replicates_no_method_is_dropped():
    np.testing.assert_array_equal(of_one(np.array([0.0, 9.0]), np.empty((2, 0))), [1, 1])


def several(rng, means, *, scores=8):
    """Losses of independent scores of the same methods, with replicates."""
    return zip(*(case(rng, means, replicates=100) for _ in range(scores)), strict=True)


def test_among_equals_a_method_is_dropped_by_any_of_many_scores_no_oftener_than_the_level_says():
    # Eight scores taken one by one would drop a method by some score in 1 - .9 ^ 8 = 57 % of the cases.
    rng = np.random.default_rng(10)
    cases = [tuple(map(list, several(rng, np.zeros(4)))) for _ in range(200)]
    together = np.mean([any((p < 0.10).any() for p in confidence_sets(*one)) for one in cases])
    apart = np.mean([any((of_one(*score) < 0.10).any() for score in zip(*one, strict=True)) for one in cases])
    assert abs(together - 0.10) < 4 * np.sqrt(0.1 * 0.9 / 200) + 0.01
    assert abs(apart - (1 - 0.9**8)) < 4 * np.sqrt(0.57 * 0.43 / 200) + 0.02


def test_a_score_that_is_settled_leaves_the_others_as_they_were_alone():
    # By one score the methods are far apart, and each is dropped at once; what is left to test is the other score.
    rng = np.random.default_rng(11)
    far, near = case(rng, [0, 3, 6]), case(rng, [0, 0.05, 0.1])
    of_far, of_near = confidence_sets(*map(list, zip(far, near, strict=True)))
    np.testing.assert_allclose(of_far, [1, 1 / 201, 1 / 201])
    np.testing.assert_allclose(of_near, of_one(*near))


def test_of_scores_that_are_the_same_each_has_the_set_that_it_has_alone():
    losses, drawn = case(np.random.default_rng(12), [0, 0.1, 0.2, 0.3])
    for p_values in confidence_sets([losses] * 3, [drawn] * 3):
        np.testing.assert_array_equal(p_values, of_one(losses, drawn))


def test_no_score_has_no_set():
    assert confidence_sets([], []) == []
