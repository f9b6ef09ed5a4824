"""How `best_forecast` ranks customers beside ABC and RFM, in rolling origins: the tables of docs/findings.md.

    python scripts/ranking.py cdnow_sample cdnow
    python scripts/ranking.py online_retail=transactions.parquet

Cuts and horizons are written down here; all of them are printed.
"""

import sys

import numpy as np

import clvmodels as clv
from clvmodels.evaluation import BestForecast
from clvmodels.evaluation.contest import contest
from clvmodels.foundation.records import TransactionLog, Window
from clvmodels.foundation.results import ComparisonSection

SEED = 1
RIVALS = ("abc", "rfm", "rfm_weighted", "ziln")
SCORES = ("spend_gini", "spend_capture_20")
QUARTERS = ("1997-06-30", "1997-09-30", "1997-12-31", "1998-03-31", "1998-06-30")
CDNOW = tuple((cut, end) for i, cut in enumerate(QUARTERS) for end in QUARTERS[i + 1 : i + 4])
ONLINE_RETAIL = (
    ("2011-05-31", "2011-08-31"),
    ("2011-06-30", "2011-09-30"),
    ("2011-07-31", "2011-10-31"),
    ("2011-08-31", "2011-11-30"),
    ("2011-09-29", "2011-12-08"),
    ("2011-05-31", "2011-11-30"),
)


def read(name: str, path: str) -> TransactionLog:
    """A log as its study reads it."""
    if not path:
        return clv.read_transactions(f"dataset:{name}")
    return clv.read_transactions(
        path,
        order="invoice_id",
        currency="GBP",
        missing_ids="drop",
        refunds="match",
        zero_amounts="drop",
        last_day="2011-12-08",
        exclude={
            "stock_code": ["POST", "DOT", "C2", "BANK CHARGES", "AMAZONFEE", "B", "S", "CRUK"],
            "customer_id": ["14096"],
        },
    )


def held_against(log: TransactionLog, window: Window) -> tuple[ComparisonSection, BestForecast]:
    """The contest of one window, and how the ranking was chosen."""
    best = clv.best_forecast(log, window, seed=SEED, draws=20)
    customers, holdout = clv.customer_summary(log, window), clv.holdout_summary(log, window)
    training, ahead = clv.training_windows(log, window), window.holdout_length
    rivals = {name: clv.BASELINES[name].forecasts(customers, ahead, training=training) for name in RIVALS}
    methods = {"best": {"score": best.ranking}, **rivals}
    rng = np.random.default_rng(SEED)
    return contest(methods, holdout, model="best", rng=rng, replicates=400), best


def main() -> None:
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        log = read(name, path)
        for cut, end in ONLINE_RETAIL if path else CDNOW:
            section, best = held_against(log, clv.Window(cut, end))
            print(f"{name}, {cut} to {end}: {len(best.weights)} models, share of past spend {best.share:g}")
            for duel in section.duels:
                if duel.score in SCORES:
                    low, high = f"{duel.low:+.3f}", f"{duel.high:+.3f}"
                    values = f"{duel.model_value:.3f} against {duel.method_value:.3f} ({low} to {high})"
                    print(f"  {duel.score} {duel.method}: {values} {duel.verdict}", flush=True)


if __name__ == "__main__":
    main()
