"""Data and fits that many tests read."""

import tomllib
from pathlib import Path

import pytest

import clvmodels as clv

GOLDEN = Path(__file__).parent / "golden"
BG_NBD_PAPER = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
GAMMA_GAMMA_PAPER = {"p": 6.25, "q": 3.74, "v": 15.44}


@pytest.fixture(scope="session")
def golden():
    return tomllib.loads((GOLDEN / "cdnow.toml").read_text())


@pytest.fixture(scope="session")
def cdnow_log():
    return clv.read_transactions("dataset:cdnow_sample")


@pytest.fixture(scope="session")
def window():
    return clv.Window(calibration_end="1997-09-30", holdout_end="1998-06-30", unit="week")


@pytest.fixture(scope="session")
def cdnow(cdnow_log, window):
    return clv.customer_summary(cdnow_log, window)


@pytest.fixture(scope="session")
def cdnow_holdout(cdnow_log, window):
    return clv.holdout_summary(cdnow_log, window)


@pytest.fixture(scope="session")
def bg_nbd_fit(cdnow):
    return clv.fit("bg_nbd", cdnow, method="laplace", draws=1000, seed=1)


@pytest.fixture(scope="session")
def gamma_gamma_fit(cdnow):
    return clv.fit("gamma_gamma", cdnow, method="laplace", draws=1000, seed=2)
