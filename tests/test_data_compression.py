"""Compression to counted patterns is exact, and does not depend on the order of customers."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

from clvmodels.data import compress, compress_spend
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.foundation.records import CustomerSummary


def toy_log_likelihood(patterns):
    """Some smooth function of a pattern, in place of a model's."""
    x, t_x, T = patterns.frequency.rows, patterns.recency.rows, patterns.T.rows
    return gammaln(0.243 + x) - (0.243 + x) * np.log(4.4 + T) + np.log1p(0.3 * t_x)


def test_the_cdnow_sample_has_1016_patterns_and_946_customers_with_a_known_spend(cdnow):
    patterns, index = compress(cdnow)
    assert (len(patterns), patterns.n_customers.sum(), len(index)) == (1_016, 2_357, 2_357)
    assert compress_spend(cdnow)[0].n_customers.sum() == 946


def test_the_log_likelihood_is_that_of_the_customers_one_by_one(cdnow):
    patterns, _ = compress(cdnow)
    one_by_one = PurchasePatterns.of(cdnow.frequency, cdnow.recency, cdnow.T, "week")
    compressed = (patterns.n_customers * toy_log_likelihood(patterns)).sum()
    assert compressed == pytest.approx(toy_log_likelihood(one_by_one).sum(), rel=1e-12)


def test_the_index_leads_each_customer_to_the_own_pattern(cdnow):
    patterns, index = compress(cdnow)
    np.testing.assert_array_equal(patterns.frequency.rows[index], cdnow.frequency)
    np.testing.assert_array_equal(patterns.recency.rows[index], cdnow.recency)
    np.testing.assert_array_equal(patterns.T.rows[index], cdnow.T)


def test_the_order_of_customers_changes_no_pattern(cdnow):
    order = np.random.default_rng(1).permutation(len(cdnow))
    (patterns, index), (shuffled, shuffled_index) = compress(cdnow), compress(cdnow.take(order))
    for name in ("frequency", "recency", "T"):
        np.testing.assert_array_equal(getattr(patterns, name).rows, getattr(shuffled, name).rows)
    np.testing.assert_array_equal(patterns.n_customers, shuffled.n_customers)
    np.testing.assert_array_equal(index[order], shuffled_index)


def test_patterns_are_distinct_and_sorted(cdnow):
    patterns, _ = compress(cdnow)
    rows = list(zip(patterns.frequency.rows, patterns.recency.rows, patterns.T.rows, strict=True))
    assert rows == sorted(set(rows))


def test_counted_rows_bring_their_counts_with_them(cdnow):
    patterns, _ = compress(cdnow)
    table = pd.DataFrame({name: getattr(patterns, name).rows for name in ("frequency", "recency", "T")})
    counted = CustomerSummary.from_frame(table.assign(n_customers=patterns.n_customers), unit="week")
    twice = counted.take(np.tile(np.arange(len(counted)), 2))
    again, index = compress(twice)
    np.testing.assert_array_equal(again.n_customers, 2 * patterns.n_customers)
    np.testing.assert_array_equal(index, np.tile(np.arange(len(counted)), 2))


def test_spend_is_counted_over_customers_with_a_repeat_and_a_known_mean_alone():
    table = pd.DataFrame(
        {
            "customer_id": list("abcde"),
            "frequency": [2, 2, 1, 1, 0],
            "recency": [3.0, 4.0, 1.0, 2.0, 0.0],
            "T": 5.0,
            "monetary_value": [10.0, 10.0, 10.0, np.nan, np.nan],
        }
    )
    spend, index, known = compress_spend(CustomerSummary.from_frame(table, unit="week", currency="EUR"))
    assert (index.tolist(), known.tolist()) == ([1, 1, 0], [True, True, True, False, False])
    assert spend.frequency.rows.tolist() == [1, 2]
    assert spend.monetary_value.tolist() == [10, 10]
    assert spend.n_customers.tolist() == [1, 2]
    assert spend.currency == "EUR"


def test_a_summary_without_any_known_spend_is_refused():
    table = pd.DataFrame({"customer_id": ["a"], "frequency": [0], "recency": [0.0], "T": [5.0]})
    with pytest.raises(DataError, match="nothing to learn from"):
        compress_spend(CustomerSummary.from_frame(table, unit="week"))
