"""What is measured. A task sets up outside the clock and returns the work to be timed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd

import clvmodels as clv
from clvmodels.foundation.retention import RetentionTable

Work = Callable[[], object]
ROOT = Path(__file__).parents[2]


def customers_of(dataset: str, end: str = "1997-09-30") -> clv.CustomerSummary:
    return clv.customer_summary(clv.read_transactions(dataset), clv.Window(calibration_end=end))


def import_package() -> Work:
    return lambda: __import__("clvmodels")


def summary_full() -> Work:
    return lambda: customers_of("dataset:cdnow")


def laplace_sample() -> Work:
    clv.fit  # noqa: B018  (its import is not timed here)
    customers = customers_of("dataset:cdnow_sample")
    return lambda: clv.fit("bg_nbd", customers, method="laplace", draws=2000, seed=1)


def laplace_full() -> Work:
    clv.fit  # noqa: B018  (its import is not timed here)
    customers = customers_of("dataset:cdnow")
    return lambda: clv.fit("bg_nbd", customers, method="laplace", draws=2000, seed=1)


def mle_sample() -> Work:
    customers = customers_of("dataset:cdnow_sample")
    return lambda: clv.fit("bg_nbd", customers, method="mle")


def lifetimes_mle_sample() -> Work:
    from lifetimes import BetaGeoFitter

    customers = customers_of("dataset:cdnow_sample")
    return lambda: BetaGeoFitter().fit(customers.frequency, customers.recency, customers.T)


def clv_full() -> Work:
    customers = customers_of("dataset:cdnow", "1998-06-30")
    fit, spend = (clv.fit(name, customers, draws=2000, seed=1) for name in ("bg_nbd", "gamma_gamma"))
    return lambda: clv.sample_clv(fit, spend, customers, horizon=52, annual_discount_rate=0.1, seed=1)


def clv_million() -> Work:
    fit = clv.fit_at("bg_nbd", {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426})
    spend = clv.fit_at("gamma_gamma", {"p": 6.25, "q": 3.74, "v": 15.44})
    customers, _ = clv.simulate("bg_nbd", fit.point, T=39.0, size=1_000_000, seed=1, spend=spend.point)
    return lambda: clv.sample_clv(fit, spend, customers, horizon=52, annual_discount_rate=0.1, seed=1, draws=100)


def study(name: str) -> Work:
    from clvmodels.cli import main

    folder = mkdtemp()
    return lambda: main(["study", str(ROOT / "studies" / f"{name}.toml"), "--output", folder])


def report(name: str) -> Work:
    from clvmodels.cli import main

    folder = mkdtemp()
    main(["study", str(ROOT / "studies" / f"{name}.toml"), "--output", folder])
    return lambda: main(["report", str(Path(folder) / name)])


# Survivors of 1,000 customers of each kind after renewals 0 to 7: Fader and Hardie (2007), doi 10.1002/dir.20074
FADER_HARDIE = {
    "Regular": (1000, 631, 468, 382, 326, 289, 262, 241),
    "High End": (1000, 869, 743, 653, 593, 551, 517, 491),
}
RETENTION_MODELS = ("geometric", "sbg", "bdw", "exponential_gamma", "weibull_gamma")
COHORTS, RENEWALS = 50, 12


def survivors_of(cohorts: Mapping[str, Sequence[int]]) -> RetentionTable:
    parts = [
        pd.DataFrame({"cohort": cohort, "age": range(len(counts)), "survivors": counts})
        for cohort, counts in cohorts.items()
    ]
    return RetentionTable.from_survivors(pd.concat(parts), unit="year", groups=["cohort"])


def retention_laplace() -> Work:
    clv.fit  # noqa: B018  (its import is not timed here)
    tables = [survivors_of({segment: counts}) for segment, counts in FADER_HARDIE.items()]
    return lambda: [clv.fit(model, table, seed=1) for model in RETENTION_MODELS for table in tables]


def cohort_of(rng: np.random.Generator) -> list[int]:
    """Survivors of 50 to 500 customers, with alpha and beta of their own around 1 and 2."""
    alpha, beta = np.exp(np.log((1.0, 2.0)) + 0.4 * rng.normal(size=2))
    lost_at = rng.geometric(rng.beta(alpha, beta, rng.integers(50, 501)))
    return [int((lost_at > age).sum()) for age in range(RENEWALS + 1)]


def retention_nuts() -> Work:
    clv.fit  # noqa: B018  (its import is not timed here)
    rng = np.random.default_rng(1)
    table = survivors_of({f"{number:02d}": cohort_of(rng) for number in range(COHORTS)})
    return lambda: clv.fit("sbg", table, method="nuts", groups="cohort", draws=2000, seed=1)


def contracts_of(size: int) -> pd.DataFrame:
    """Contracts that began on some day of 2020 to 2023 and are renewed every month, seen to the end of 2023."""
    rng = np.random.default_rng(1)
    month, day = rng.integers(0, 48, size), rng.integers(0, 28, size)
    lost_at = np.minimum(rng.geometric(rng.beta(1.0, 4.0, size)), 600)
    began, ended = (np.datetime64("2020-01", "M") + months for months in (month, month + lost_at))
    start, end = (months.astype("datetime64[D]") + day for months in (began, ended))
    frame = pd.DataFrame({"customer_id": np.arange(size).astype(str), "start": start, "end": end})
    frame["end"] = frame["end"].where(frame["end"] <= pd.Timestamp("2023-12-31"))
    return frame.assign(segment=np.where(rng.random(size) < 0.3, "High End", "Regular"))


def retention_million() -> Work:
    clv.fit  # noqa: B018  (its import is not timed here)
    path = Path(mkdtemp()) / "contracts.parquet"
    contracts_of(1_000_000).to_parquet(path)

    def work() -> clv.Fit:
        table = clv.retention_table(
            path, unit="month", groups=["segment"], cohort="month", observation_end="2023-12-31"
        )
        return clv.fit("sbg", table, seed=1)

    return work


# name: (set-up, what it is, calls in one process, the target in seconds or None)
TASKS: dict[str, tuple[Callable[[], Work], str, int, float | None]] = {
    "import": (import_package, "import clvmodels", 1, None),
    "summary_full": (summary_full, "CDNOW full: file to customer summary", 3, None),
    "laplace_sample": (laplace_sample, "BG/NBD laplace, CDNOW sample, 2,000 draws, first call", 1, 2.0),
    "laplace_sample_warm": (laplace_sample, "the same, later calls", 5, 2.0),
    "laplace_full": (laplace_full, "BG/NBD laplace, CDNOW full, 2,000 draws, first call", 1, 5.0),
    "mle_sample": (mle_sample, "BG/NBD mle, CDNOW sample", 5, None),
    "lifetimes_sample": (lifetimes_mle_sample, "lifetimes BetaGeoFitter, CDNOW sample (peer)", 5, None),
    "clv_full": (clv_full, "23,570 customers x 2,000 predictive CLV draws", 1, 20.0),
    "clv_million": (clv_million, "1,000,000 customers x 100 predictive CLV draws", 1, None),
    "retention_laplace": (retention_laplace, "five models of retention on Regular and High End, warm", 4, 3.0),
    "retention_nuts": (retention_nuts, "sBG by nuts, 50 cohorts x 12 ages pooled, first call", 1, 60.0),
    "retention_nuts_warm": (retention_nuts, "the same, later calls", 2, 60.0),
    "retention_million": (retention_million, "1,000,000 contracts: file to table to sBG by laplace", 1, None),
    "study_sample": (lambda: study("cdnow_sample"), "study CDNOW sample, both reports", 1, 30.0),
    "study_full": (lambda: study("cdnow"), "study CDNOW full, both reports", 1, 90.0),
    "report_full": (lambda: report("cdnow"), "report CDNOW full, both languages", 1, 10.0),
}
