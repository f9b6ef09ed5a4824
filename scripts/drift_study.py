"""Size and power of the drift check, and coverage of totals with and without the period effect, to docs/drift.json.

python -m scripts.drift_study [SIMULATIONS] [PARQUET OF ONLINE RETAIL]: with 40 simulations a setting some 8 minutes.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy import stats

import clvmodels as clv
from tests.drift_cases import base, demand

OUT = Path(__file__).parents[1] / "docs" / "drift.json"
SETTINGS = [("bg_nbd", sd) for sd in (0.0, 0.02, 0.05, 0.1)] + [
    ("mbg_nbd", 0.0),
    ("pareto_nbd", 0.0),
    ("pareto_nbd", 0.05),
]
WITHIN = (12, 36)  # weeks in which the customers are won
DRAWS = 400


def simulated(story, sd, within, number):
    """What the check and the totals of one base say."""
    seed = [number, within, round(1000 * sd), len(story)]
    level = demand(np.random.default_rng(seed), sd)
    customers, history, ahead = base(
        np.random.SeedSequence(seed).generate_state(1)[0], level=level, within=within, story=story
    )
    fit = clv.fit(story, customers, method="laplace", draws=DRAWS, seed=1)
    return held(fit, customers, history, ahead.sum(), len(ahead), replicates=199)


def held(fit, customers, history, actual, horizon, *, replicates=499):
    check = clv.drift_check(fit, customers, history=history, seed=1, replicates=replicates)
    totals = clv.sample_totals(fit, customers, history=history, horizon=float(horizon), seed=1)
    return {"drifts": check.drifts, "p_value": check.p_value} | {
        name: interval(getattr(totals, name).sum(axis=1), actual) for name in ("purchases", "stationary_purchases")
    }


def interval(totals, actual):
    low, high = np.quantile(totals, [0.05, 0.95])
    return {
        "inside": bool(low <= actual <= high),
        "width": float(high / low),
        "error": float(np.log(np.median(totals) / actual)),
    }


def summary(rows):
    """Shares with their 90 % intervals (Jeffreys), median widths and root mean squared log errors."""
    out = {"n": len(rows), "flagged": share([row["drifts"] for row in rows])}
    for name in ("purchases", "stationary_purchases"):
        held_to = [row[name] for row in rows]
        out[name] = {
            "covered": share([row["inside"] for row in held_to]),
            "high_over_low": float(np.median([row["width"] for row in held_to])),
            "rms_log_error": float(np.sqrt(np.mean([row["error"] ** 2 for row in held_to]))),
        }
    return out


def share(hits):
    n, k = len(hits), sum(hits)
    low, high = stats.beta.ppf([0.05, 0.95], k + 0.5, n - k + 0.5)
    return [k / n, float(low), float(high)]


def real(log, model, **rolling):
    """The same over rolling origins of a log."""
    return summary([at(log, window, model) for window in clv.rolling_windows(log, **rolling)])


def at(log, window, model):
    customers, history = clv.customer_summary(log, window), clv.purchase_history(log, window)
    fit = clv.fit(model, customers, method="laplace", draws=DRAWS, seed=1)
    actual = clv.holdout_summary(log, window).purchases.sum()
    return held(fit, customers, history, actual, window.holdout_length)


def main(simulations=40, retail=None):
    results = {"simulated": {}, "real": {}}
    for story, sd in SETTINGS:
        for within in WITHIN:
            rows = [simulated(story, sd, within, number) for number in range(simulations)]
            results["simulated"][f"{story} {sd} {within}"] = summary(rows)
            print(story, sd, within, results["simulated"][f"{story} {sd} {within}"], flush=True)
    logs = {name: clv.read_transactions(f"dataset:{name}") for name in ("cdnow_sample", "cdnow")}
    for name, log in logs.items():
        results["real"][f"{name} 39"] = summary([at(log, clv.Window("1997-09-30", "1998-06-30"), "bg_nbd")])
        for holdout in (13, 26):
            found = real(log, "bg_nbd", first_end="1997-06-24", step=6, holdout=holdout)
            results["real"][f"{name} rolling {holdout}"] = found
    if retail is not None:
        log = clv.read_transactions(retail, order="invoice_id", currency="GBP", missing_ids="drop")
        for holdout in (8, 13):
            found = real(log, "bg_nbd", first_end="2011-04-30", step=4, holdout=holdout)
            results["real"][f"online_retail rolling {holdout}"] = found
    print(json.dumps(results["real"], indent=1))
    OUT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, str), sys.argv[1:], strict=False)))
