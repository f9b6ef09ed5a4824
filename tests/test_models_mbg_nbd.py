"""The MBG/NBD and the NBD against closed forms and lifetimes; identities are in test_models_purchases.py."""

import numpy as np
import pytest

from clvmodels.foundation.ops import NUMPY_OPS
from clvmodels.foundation.patterns import PurchasePatterns
from clvmodels.models import mbg_nbd, nbd

PARAMETERS = {"r": 0.5248, "alpha": 6.1831, "a": 0.8914, "b": 1.6140}


def test_without_a_repeat_purchase_a_customer_may_have_left():
    T = np.array([0.0, 3.0, 300.0])
    r, alpha, a, b = PARAMETERS.values()
    none = np.zeros(3)
    silent = (alpha / (alpha + T)) ** r
    assert mbg_nbd.p_alive(PARAMETERS, none, none, T) == pytest.approx(1 / (1 + a / b / silent), rel=1e-12)
    patterns = PurchasePatterns.of(none, none, T, "week")
    ours = mbg_nbd.log_likelihood(PARAMETERS, patterns, NUMPY_OPS)
    assert ours == pytest.approx(np.log((b * silent + a) / (a + b)), abs=1e-12)


def test_lifetimes_agrees_on_every_customer(cdnow):
    from lifetimes import ModifiedBetaGeoFitter

    other = ModifiedBetaGeoFitter()
    other.params_ = dict(PARAMETERS)
    x, t_x, T = cdnow.frequency, cdnow.recency, cdnow.T
    theirs = other.conditional_probability_alive(x, t_x, T)
    assert mbg_nbd.p_alive(PARAMETERS, x, t_x, T) == pytest.approx(theirs, abs=1e-9)
    theirs = other.conditional_expected_number_of_purchases_up_to_time(39.0, x, t_x, T)
    assert mbg_nbd.FORMULAS.expected_purchases(PARAMETERS, x, t_x, T, 39.0) == pytest.approx(theirs, rel=1e-9)


def test_the_nbd_forecasts_by_the_shrunken_rate():
    """(r + x) / (alpha + T): between the customer's own x / T and the base's r / alpha."""
    parameters = {"r": 0.5, "alpha": 10.0}
    ours = nbd.FORMULAS.expected_purchases(
        parameters, np.array([0.0, 5.0]), np.array([0.0, 20.0]), np.array([40.0, 40.0]), 10.0
    )
    assert ours == pytest.approx([0.1, 1.1])
    assert nbd.FORMULAS.dert(parameters, np.float64(5), np.float64(20), np.float64(40), 0.01) == pytest.approx(11.0)
