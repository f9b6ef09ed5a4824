"""The model confidence set keeps equals, drops the worse, and holds the best as often as it says."""

import numpy as np
import pytest

from clvmodels.evaluation.confidence_set import confidence_set


def case(rng, means, *, n=200, replicates=200, shared=1.0):
    """Mean losses of methods over n customers, and bootstrap replicates of them; customers are hard for all alike."""
    losses = np.asarray(means) + shared * rng.normal(size=(n, 1)) + rng.normal(size=(n, len(means)))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=replicates)
    return losses.mean(axis=0), (counts @ losses / n).T


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
    np.testing.assert_allclose(confidence_set(losses, drawn), plain(losses, drawn), rtol=1e-12)


@pytest.mark.parametrize("methods", [2, 6])
def test_among_equals_a_method_is_dropped_about_as_often_as_the_level_says(methods):
    # By single duels of six equals some method would look worse in about half of the cases.
    rng = np.random.default_rng(5)
    dropped = [(confidence_set(*case(rng, np.zeros(methods))) < 0.10).any() for _ in range(400)]
    assert abs(np.mean(dropped) - 0.10) < 4 * np.sqrt(0.1 * 0.9 / 400) + 0.01


def test_the_best_stays_in_the_set_and_the_far_worse_leave_it():
    rng = np.random.default_rng(6)
    sets = np.array([confidence_set(*case(rng, [0, 0.05, 1.0])) >= 0.10 for _ in range(200)])
    assert sets[:, 0].mean() > 0.90 - 4 * np.sqrt(0.1 * 0.9 / 200)
    assert not sets[:, 2].any()


def test_methods_that_never_differ_stay_together():
    losses, drawn = case(np.random.default_rng(7), [0, 1])
    p_values = confidence_set(losses[[0, 1, 0]], drawn[[0, 1, 0]])
    assert p_values[0] == 1 or p_values[2] == 1
    assert min(p_values[[0, 2]]) > 0.5
    assert p_values[1] < 0.01
    np.testing.assert_array_equal(confidence_set(losses[[0, 0]], drawn[[0, 0]]), [1, 1])


def test_a_difference_that_is_the_same_in_every_replicate_is_certain():
    _, drawn = case(np.random.default_rng(8), [0])
    p_values = confidence_set(np.array([0.0, 0.5]), np.vstack([drawn - drawn, drawn - drawn + 0.5]))
    np.testing.assert_allclose(p_values, [1, 1 / 201])


def test_the_order_of_methods_changes_nothing():
    losses, drawn = case(np.random.default_rng(9), [0.2, 0, 0.1, 0.1])
    order = np.array([2, 0, 3, 1])
    np.testing.assert_array_equal(confidence_set(losses[order], drawn[order]), confidence_set(losses, drawn)[order])


def test_without_replicates_no_method_is_dropped():
    np.testing.assert_array_equal(confidence_set(np.array([0.0, 9.0]), np.empty((2, 0))), [1, 1])
