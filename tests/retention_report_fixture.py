"""A fixture, not results: a plausible `RetentionResults` near the published numbers, made from a seed.

Survivors of 1,000 and sBG's parameters are those of Fader and Hardie (2007), donors those of Fader, Hardie and Shang
(2010); posteriors are drawn around them, cohorts are invented.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.special import betaln

from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import Check, FitRow, ParameterRow, PriorRow
from clvmodels.foundation.retention_results import (
    AgePoint,
    BackTest,
    BackTestPoint,
    CohortSection,
    CurvePoint,
    DonorRow,
    DonorSection,
    ObservedSurvival,
    RetentionInfo,
    RetentionResults,
    RevenuePoint,
    RivalCurve,
    SegmentRetention,
    SegmentWorth,
    ValueRow,
)

SURVIVORS = {
    "Regular": [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173],
    "High End": [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394],
}
SBG = {"Regular": (0.7041, 1.1820), "High End": (0.6681, 3.8061)}
DRAWS, AGES, ENDLESS = 300, 21, 4000
PRICE, RATE = 100.0, 0.10
DONORS = {
    (6, 6): 1203, (5, 6): 728, (4, 6): 512, (3, 6): 357, (2, 6): 234, (1, 6): 129, (5, 5): 335, (4, 5): 284,
    (3, 5): 225, (2, 5): 173, (1, 5): 119, (4, 4): 240, (3, 4): 181, (2, 4): 155, (1, 4): 78, (3, 3): 322,
    (2, 3): 255, (1, 3): 129, (2, 2): 613, (1, 2): 277, (1, 1): 1091, (0, 0): 3464,
}  # fmt: skip


def summed(draws: np.ndarray) -> Estimate:
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    return Estimate(float(draws.mean()), float(draws.std()), float(low), float(middle), float(high))


def posterior(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws of alpha and beta, which go together, each (S, 1)."""
    alpha, beta = SBG[name]
    shared, own = rng.normal(size=(2, DRAWS, 1))
    return alpha * np.exp(0.09 * shared), beta * np.exp(0.09 * (0.9 * shared + 0.44 * own))


def survival_at(alpha: np.ndarray, beta: np.ndarray, ages: np.ndarray) -> np.ndarray:
    return np.exp(betaln(alpha, beta + ages) - betaln(alpha, beta))


def fixture_retention() -> RetentionResults:
    """The whole record, in the shape and size that a study of two segments, donors and cohorts has."""
    rng = np.random.default_rng(20261122)
    draws = {name: posterior(name, rng) for name in SURVIVORS}
    values = [row for name in SURVIVORS for row in _values(name, *draws[name], rng)]
    fits = [(fit, name) for name in SURVIVORS for fit in _fits(name)]
    return RetentionResults(
        study=RetentionInfo(
            name="retention",
            title={"en": "Two segments of subscribers, and donors", "zh": "两类订户与一批捐赠者"},
            background={
                "en": "Test fixture, not results: yearly contracts of Regular and High End customers.",
                "zh": "测试用数据，并非真实结果。Regular 与 High End 两类客户的年度合同。",
            },
            sources={"survivors": "a" * 64, "dataset:donations": "b" * 64, "dataset:cdnow": "c" * 64},
            study_digest="d" * 64,
            seed=2007,
            version="0.1.0",
            currency="USD",
            unit="year",
            model="sbg",
            price=PRICE,
            margin=1.0,
            annual_discount_rate=RATE,
            due=0.0,
            fewer_defections=0.05,
            languages=["en", "zh"],
        ),
        ledger=[LedgerLine("used", 26, 0.0, ("Regular, 7, 241",))],
        segments=[_segment(name, *draws[name]) for name in SURVIVORS],
        fits=[fit for fit, _ in fits],
        fit_segments=[name for _, name in fits],
        back_tests=[test for name in SURVIVORS for learnt in (4, 7) for test in _back_tests(name, learnt, rng)],
        values=values,
        worth=_worth(draws, values, rng),
        donors=_donors(rng),
        cohorts=_cohorts(rng),
    )


def _segment(name: str, alpha: np.ndarray, beta: np.ndarray) -> SegmentRetention:
    survivors, ages = SURVIVORS[name], np.arange(AGES)
    curve = survival_at(alpha, beta, ages)
    points = [
        CurvePoint(
            float(age),
            summed(curve[:, age]),
            summed(curve[:, age] / curve[:, age - 1]) if age else None,
            bool(age <= 12),
        )
        for age in ages
    ]
    theta = 1 - (survivors[7] / survivors[0]) ** (1 / 7)
    rivals = {
        "sbg": [float(value) for value in curve.mean(axis=0)],
        "bdw": [float(value) * (1 - 0.002 * age) for age, value in enumerate(curve.mean(axis=0))],
        "geometric": [(1 - theta) ** age for age in range(AGES)],
    }
    elpd = {"Regular": (-1682.4, -1683.1, -1789.0), "High End": (-1613.6, -1609.2, -1641.5)}[name]
    errors = {"Regular": (0.0, 0.9, 14.2), "High End": (1.9, 0.0, 8.8)}[name]
    best = max(elpd)
    return SegmentRetention(
        name,
        customers=1000,
        active=survivors[-1],
        last_age=12.0,
        observed=[_observed(age, survivors) for age in range(1, 13)],
        curve=points,
        rivals=[
            RivalCurve(model, "laplace", curve, value + 2, value, value - best, error, weight, 0.31, 0)
            for (model, curve), value, error, weight in zip(rivals.items(), elpd, errors, (0.3, 0.7, 0.0), strict=True)
        ],
    )


def _observed(age: int, survivors: list[int]) -> ObservedSurvival:
    part = survivors[age] / survivors[0]
    half = 1.645 * math.sqrt(part * (1 - part) / survivors[0])
    lost = survivors[age - 1] - survivors[age]
    return ObservedSurvival(float(age), part, part - half, part + half, survivors[age - 1], lost)


def _back_tests(name: str, learnt: int, rng: np.random.Generator) -> list[BackTest]:
    survivors = SURVIVORS[name]
    alpha, beta = posterior(name, rng)
    shares = survival_at(alpha, beta * (0.9 if learnt == 4 else 1.0), np.arange(13))
    geometric = np.full_like(shares, (survivors[learnt] / survivors[0]) ** (1 / learnt)) ** np.arange(13)
    tests = []
    for model, share in (("sbg", shares), ("geometric", geometric)):
        later = share[:, learnt:] / share[:, learnt : learnt + 1]
        kept = rng.binomial(survivors[learnt], np.clip(later, 0, 1))
        points = [BackTestPoint(float(a), survivors[a], *[float(survivors[a])] * 3, True) for a in range(learnt + 1)]
        for place, age in enumerate(range(learnt + 1, 13), start=1):
            low, high = np.quantile(kept[:, place], [0.05, 0.95])
            mean = float(kept[:, place].mean())
            points.append(BackTestPoint(float(age), survivors[age], mean, float(low), float(high), False))
        unseen = [point for point in points if not point.learnt]
        held = sum(point.low <= point.actual <= point.high for point in unseen)
        error = float(np.mean([abs(point.expected - point.actual) / point.actual for point in unseen]))
        tests.append(BackTest(name, model, float(learnt), points, held, len(unseen), error))
    return tests


def derl(alpha: np.ndarray, beta: np.ndarray, age: int) -> np.ndarray:
    """Renewals to come of those who made `age` of them and are about to renew, discounted, (S,)."""
    ahead = np.arange(1, 400)
    shares = survival_at(alpha, beta, age + ahead) / survival_at(alpha, beta, np.array([age]))
    return np.asarray((shares / (1 + RATE) ** (ahead - 1)).sum(axis=1))


def _values(name: str, alpha: np.ndarray, beta: np.ndarray, rng: np.random.Generator) -> list[ValueRow]:
    rows = []
    for age in (0, 1, 2, 3, 5, 8, 12):
        discounted = derl(alpha, beta, age)
        theta = rng.beta(alpha[:, 0], beta[:, 0] + age)
        made = rng.geometric(np.maximum(theta, 1e-6)) - 1
        outcome = (1 - (1 + RATE) ** -np.minimum(made, ENDLESS).astype(float)) * (1 + RATE) / RATE
        lifetime = np.full(DRAWS, 9.0 + age) * np.exp(0.1 * rng.normal(size=DRAWS))
        infinite = 1.0 if name == "Regular" else 0.997
        unknown = replace(summed(lifetime), mean=None, sd=None)
        rows.append(
            ValueRow(
                name,
                float(age),
                unknown,
                infinite,
                summed(discounted),
                summed(PRICE * discounted),
                summed(PRICE * outcome),
            )
        )
    return rows


def _worth(
    draws: dict[str, tuple[np.ndarray, np.ndarray]], values: list[ValueRow], rng: np.random.Generator
) -> list[SegmentWorth]:
    rows, equities, changes, losses = [], [], [], []
    for name, (alpha, beta) in draws.items():
        active = SURVIVORS[name][-1]
        equity = active * PRICE * derl(alpha, beta, 12)
        change = equity * (0.031 if name == "Regular" else 0.027) * np.exp(0.05 * rng.normal(size=DRAWS))
        lost = rng.binomial(
            active, 1 - (survival_at(alpha, beta, np.array([13])) / survival_at(alpha, beta, np.array([12])))[:, 0]
        )
        new = summed(PRICE * (1 + derl(alpha, beta, 0) / (1 + RATE)))
        rows.append(
            SegmentWorth(
                name,
                active,
                summed(lost.astype(float)),
                summed(lost / active),
                summed(equity),
                new,
                summed(change),
                summed(change / equity),
            )
        )
        equities.append(equity)
        changes.append(change)
        losses.append(lost)
    equity, change, lost = sum(equities), sum(changes), np.sum(losses, axis=0).astype(float)
    active = sum(row.active for row in rows)
    whole = SegmentWorth(
        "", active, summed(lost), summed(lost / active), summed(equity), None, summed(change), summed(change / equity)
    )
    return [*rows, whole]


def _parameter(name: str, value: float) -> ParameterRow:
    return ParameterRow(name, value, value * 0.09, value * 0.86, value, value * 1.15, 1810.0, 1760.0, None, 0.21)


def _fits(name: str) -> list[FitRow]:
    alpha, beta = SBG[name]
    likelihood = {"Regular": -1680.27, "High End": -1611.16}[name]
    models = {
        "sbg": {"alpha": alpha, "beta": beta},
        "bdw": {"alpha": 0.67, "beta": 1.1, "c": 0.98}
        if name == "Regular"
        else {"alpha": 0.26, "beta": 1.72, "c": 1.6},
        "geometric": {"theta": 0.19 if name == "Regular" else 0.1},
    }
    return [
        FitRow(
            model,
            "laplace",
            "decision",
            1000,
            13,
            2000,
            likelihood - (90 if model == "geometric" else 0),
            [_parameter(*pair) for pair in parameters.items()],
            {key: PriorRow("log_normal", 1.0, 1.5) for key in parameters},
            [Check("pareto_k", 0.21, 0.7, True), Check("effective_draws", 1812.0, 400.0, True)],
        )
        for model, parameters in models.items()
    ]


def _donors(rng: np.random.Generator) -> DonorSection:
    alpha, beta, gamma, delta = 1.204, 0.750, 0.657, 2.783
    p, theta = rng.beta(alpha, beta, 40_000), rng.beta(gamma, delta, 40_000)
    rows, total, alive_now = [], 0.0, 0.0
    for (x, last), count in DONORS.items():
        stopped = sum(p**x * (1 - p) ** (n - x) * theta * (1 - theta) ** n for n in range(last, 6))
        still = p**x * (1 - p) ** (6 - x) * (1 - theta) ** 6
        likelihood = (still + stopped).mean()
        future = p * sum((1 - theta) ** year for year in range(1, 6))
        alive, given = float(still.mean() / likelihood), float((still * future).mean() / likelihood)
        rows.append(DonorRow(x, last, count, _around(alive, 0.01 if last < 6 else 0.0), _around(given, 0.03)))
        total, alive_now = total + count * given, alive_now + count * alive
    left = [alive_now * float(((1 - theta) ** year).mean()) ** 0.5 for year in range(6)]
    parameters = {"alpha": alpha, "beta": beta, "gamma": gamma, "delta": delta}
    fit = FitRow(
        "bg_bb",
        "laplace",
        "decision",
        11104,
        22,
        2000,
        -33225.6,
        [_parameter(*pair) for pair in parameters.items()],
        {key: PriorRow("log_normal", 1.0, 1.5) for key in parameters},
        [Check("pareto_k", 0.17, 0.7, True)],
    )
    active = [_around(value, 0.01 + 0.006 * year) for year, value in enumerate(left)]
    return DonorSection("dataset:donations", 11104, 6, 5, fit, rows, _around(total, 0.012), active)


def _around(mean: float, part: float) -> Estimate:
    sd = part * mean
    return Estimate(mean, sd, mean - 1.645 * sd, mean, mean + 1.645 * sd)


def _cohorts(rng: np.random.Generator) -> CohortSection:
    months = [f"{1997 + place // 12}-{place % 12 + 1:02d}-01" for place in range(18)]
    acquired = [int(n) for n in rng.integers(600, 2400, 12)]
    share = [1.0, *(0.17 * (1 + age) ** -0.35 for age in range(17))]
    spend = [34.0, *(41.0 + 0.4 * age for age in range(17))]
    retention: list[list[float | None]] = []
    for place, size in enumerate(acquired):
        known = 18 - place
        counts = [size, *(int(rng.binomial(size, share[age])) for age in range(1, known))]
        retention.append([*(count / size for count in counts), *[None] * (18 - known)])
    revenue = [
        [None if kept is None else kept * spend[age] * float(rng.uniform(0.9, 1.1)) for age, kept in enumerate(row)]
        for row in retention
    ]
    points = []
    for month, name in enumerate(months):
        alive = [(size, month - place) for place, size in enumerate(acquired) if month >= place]
        expected = sum(size * share[age] for size, age in alive)
        money = sum(size * share[age] * spend[age] for size, age in alive)
        holdout = month >= 12
        actual = int(
            sum(size * (retention[place][month - place] or 0) for place, size in enumerate(acquired) if month >= place)
        )
        forecasts = (_around(expected, 0.04), _around(money, 0.06)) if holdout else (None, None)
        points.append(RevenuePoint(name, holdout, actual, money * float(rng.uniform(0.96, 1.04)), *forecasts))
    by_age, running = [], 0.0
    for age in range(18):
        running += share[age] * spend[age]
        kept = Estimate(1.0, 0.0, 1.0, 1.0, 1.0) if age == 0 else _around(share[age], 0.03)
        by_age.append(
            AgePoint(
                age, kept, _around(spend[age], 0.02), _around(share[age] * spend[age], 0.04), _around(running, 0.03)
            )
        )
    return CohortSection(
        source="dataset:cdnow",
        unit="month",
        cohorts=months[:12],
        acquired=acquired,
        retention=retention,
        revenue_per_acquired=revenue,
        learnt_to="1998-01-01",
        points=points,
        by_age=by_age,
        held=63,
        cells=72,
        errors={"model": 0.047, "carried_on": 0.112},
        notes=[],
    )
