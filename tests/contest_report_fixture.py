"""A fixture, not results: a plausible `ContestResults` of four data sets, made from a seed.

A real log on which ABC ranks best and models give the better distributions, donors without money, a simulated log
that its model must win, and a shuffled one on which nobody may rank better.
"""

from dataclasses import dataclass

import numpy as np

from clvmodels.evaluation import winners
from clvmodels.evaluation.scores import SCORES
from clvmodels.foundation.contest_results import (
    Circumstance,
    ContestData,
    ContestInfo,
    ContestResults,
    MethodCalibration,
    ShuffleCheck,
    ShuffledScore,
)
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import (
    ActivityRow,
    CalibrationRow,
    ConformalRow,
    CoverageRow,
    DecileRow,
    DifficultyRow,
    DriftCheck,
    DriftPeriod,
    Duel,
    LeagueRow,
    MethodCost,
    Origin,
    PitBin,
    PitCheck,
    RollingSection,
    RollingVerdict,
    TotalCheck,
    TotalCoverage,
)

MODELS = ("best", "mbg_nbd+gamma_gamma_transactions", "bg_nbd+gamma_gamma", "pareto_nbd+gamma_gamma")
SIMPLE = ("abc", "abc_repeat", "rfm", "rfm_weighted", "rfm_cells", "same_rate", "hiatus", "last_period")
METHODS = (*MODELS, *SIMPLE, "boosting", "ziln")
ORDERS = ("abc", "abc_repeat", "rfm", "rfm_weighted")  # they rank and give no amounts
INPUTS = {"abc": ["monetary_value"], "rfm": ["recency", "frequency", "monetary_value"]}
LEVEL = 0.10
ORIGINS = 6


@dataclass(frozen=True)
class Case:
    """A data set of the fixture: what `skill` a kind of method has over the others, by kind of score."""

    key: str
    title: dict[str, str]
    kind: str
    unit: str
    horizons: tuple[float, ...]
    currency: str = "USD"
    story: str = ""
    shuffled: bool = False
    best_ranker: str = "best"
    time: bool = True


CASES = (
    Case(
        "cdnow",
        {"en": "CDNOW", "zh": "CDNOW"},
        "log",
        "week",
        (12.0, 26.0),
        best_ranker="abc",
    ),
    Case("donors", {"en": "Donors", "zh": "捐赠者"}, "donors", "year", (1.0, 2.0), currency="", time=False),
    Case(
        "told",
        {"en": "Told by BG/NBD", "zh": "由 BG/NBD 模拟"},
        "simulated",
        "week",
        (12.0, 26.0),
        story="bg_nbd+gamma_gamma",
    ),
    Case("dealt", {"en": "CDNOW, outcomes dealt out", "zh": "CDNOW（打乱）"}, "log", "week", (12.0,), shuffled=True),
)


def fixture_contest() -> ContestResults:
    """The whole record, in the shape that a study of four data sets has."""
    rng = np.random.default_rng(20261122)
    data = [_data(case, rng) for case in CASES]
    return ContestResults(
        study=ContestInfo(
            name="contest",
            title={"en": "An honest contest", "zh": "一场公平的比赛"},
            background={
                "en": "Test fixture, not results: models against ABC, RFM and simple rules.",
                "zh": "测试用数据，并非真实结果。模型与 ABC、RFM 和简单规则比赛。",
            },
            data_digests={case.key: letter * 64 for case, letter in zip(CASES, "abcd", strict=True)},
            study_digest="e" * 64,
            seed=2026,
            version="0.1.0",
            method="best",
            replicates=400,
            level=LEVEL,
            draws=1000,
            languages=["en", "zh"],
        ),
        data=data,
        winners=winners([section for of in data for section in of.contests]),
        left_out={"retail": "no such file: put it beside the study file."},
    )


def fixture_costs() -> dict[str, list[MethodCost]]:
    """What each method cost on the first data set."""
    return {
        "cdnow": [
            MethodCost(method, 2357, 0.001 if method in SIMPLE else 2.5, 0.0011 if method in SIMPLE else 2.6, 14.2)
            for method in METHODS
        ]
    }


def _data(case: Case, rng: np.random.Generator) -> ContestData:
    contests = [_section(case, horizon, rng) for horizon in case.horizons]
    scores = {(row.method, row.score): row.value for row in contests[0].league}
    names = list(dict.fromkeys(row.score for row in contests[0].league))
    return ContestData(
        key=case.key,
        title=case.title,
        kind=case.kind,
        source=f"dataset:{case.key}",
        story=case.story,
        shuffled=case.shuffled,
        currency=case.currency,
        unit=case.unit,
        rows_read=6919,
        occasions=6696,
        customers=2357,
        first_date="1997-01-01",
        last_date="1998-06-30",
        contests=contests,
        difficulty=[
            DifficultyRow(
                method,
                INPUTS.get(method, ["frequency", "recency", "T", "monetary_value"]),
                5 if method in MODELS else 1,
                method in ("boosting", "ziln", "best"),
                {name: scores.get((method, name)) for name in names},
            )
            for method in METHODS
        ],
        panel_end="1997-12-31",
        calibration=[_calibration(method, case, rng) for method in METHODS],
        circumstances=[
            Circumstance("repeat_share", 0.42),
            Circumstance("old_share", 0.35),
            Circumstance("past_spend", None if not case.currency else 0.44),
            Circumstance("recency", 0.31),
            Circumstance("rate_and_spend", 0.11),
            Circumstance("pace", 0.93),
            Circumstance("largest", None if not case.currency else 0.021),
        ],
        total_model="mbg_nbd",
        drift=_drift(rng),
        totals=[check for horizon in case.horizons for check in _totals(case, horizon, rng)],
        total_coverage=[
            TotalCoverage(
                outcome, method, horizon, case.unit, 6, 3 if method == "stationary" else 5, 3, 0.41, 0.97, 0.22
            )
            for horizon in case.horizons
            for outcome in _outcomes(case)
            for method in ("stationary", "drifting")
        ],
        conformal=[
            ConformalRow(outcome, probability, 2357, probability - 0.06, probability - 0.08, probability - 0.04,
                         probability + 0.01, probability - 0.01, probability + 0.02, 1.8, 2.6)
            for outcome in _outcomes(case)
            for probability in (0.5, 0.9)
        ],
        shuffles=_shuffles() if case.shuffled else None,
    )  # fmt: skip


def _outcomes(case: Case) -> tuple[str, ...]:
    return ("purchases", "spend") if case.currency else ("purchases",)


def _has(method: str, score: str, case: Case) -> bool:
    """Whether a method of the fixture has a score."""
    rule = SCORES[score]
    if rule.outcome == "spend" and not case.currency:
        return False
    if method in MODELS or rule.needs == "ranking":
        return True
    if rule.needs == "probability":
        return method in ("hiatus", "boosting")
    return rule.needs == "mean" and method not in ORDERS


def _mean(method: str, score: str, case: Case, rng: np.random.Generator) -> float:
    """Mean of a score, by which way is better and who has skill on the case."""
    rule = SCORES[score]
    noise = 0.004 * rng.normal()
    if rule.needs == "distribution" and rule.better == "zero":
        return 0.87 + noise if method != "best" else 0.905
    if rule.needs == "ranking":
        if case.shuffled:
            return 0.02 + noise
        ahead = 0.05 if method == case.best_ranker else 0.03 if method in MODELS else 0.0
        return 0.62 + ahead + noise
    if rule.better == "zero":
        return -0.11 + noise if method in MODELS else 0.24 + noise
    if score.endswith("_mae"):
        return 0.60 + noise if method in ("hiatus", "last_period") else 0.71 + noise
    return (0.31 if method in MODELS else 0.36) + noise


def _section(case: Case, horizon: float, rng: np.random.Generator) -> RollingSection:
    scores = [name for name in SCORES if any(_has(method, name, case) for method in METHODS)]
    league = [_row(method, name, case, rng) for name in scores for method in METHODS if _has(method, name, case)]
    judged = [name for name in scores if "width" not in name]
    verdicts = [_verdict(name, [row for row in league if row.score == name], case) for name in judged]
    return RollingSection(
        data=case.key,
        horizon=horizon,
        unit=case.unit,
        model="best",
        methods=list(METHODS),
        origins=[
            Origin(f"1997-{4 + at:02d}-30", f"1998-{1 + at:02d}-28", 2357 - 10 * at, 900.0 + at,
                   31_000.0 + at if case.currency else None, {"boosting": "too few customers"} if at == 5 else {})
            for at in range(ORIGINS)
        ],
        time=case.time,
        block=1,
        level=LEVEL,
        league=league,
        duels=[
            duel
            for name in judged
            if _has("best", name, case)
            for duel in _duels("best", [row for row in league if row.score == name])
        ],
        verdicts=verdicts,
    )  # fmt: skip


def _row(method: str, score: str, case: Case, rng: np.random.Generator) -> LeagueRow:
    mean = _mean(method, score, case, rng)
    by_origin: list[float | None] = [float(mean + 0.02 * rng.normal()) for _ in range(ORIGINS)]
    if method == "boosting":
        by_origin[-1] = None
    known = [value for value in by_origin if value is not None]
    value = float(np.mean(known))
    return LeagueRow(method, score, value, value - 0.02, value + 0.02, len(known), float(method == "abc"), by_origin)


def _loss(row: LeagueRow) -> float:
    rule = SCORES[row.score]
    return {"high": -row.value, "low": row.value}.get(rule.better, abs(row.value - rule.target))


def _verdict(score: str, rows: list[LeagueRow], case: Case) -> RollingVerdict:
    """Kept are those near the best; on the simulated case models alone, on the shuffled one all."""
    complete = [row for row in rows if row.method != "boosting"]
    best = min(complete, key=_loss)
    near = [row for row in complete if _loss(row) < _loss(best) + 0.03]
    if case.shuffled:
        near = complete
    if case.story:
        near = [row for row in near if row.method in MODELS] or near
        best = min(near, key=_loss)
    kept = [row.method for row in near]
    verdict = "one" if len(kept) == 1 else "none" if len(kept) == len(complete) else "some"
    p_values = {row.method: 0.5 if row.method in kept else 0.01 for row in complete}
    return RollingVerdict(score, [best.method], kept, p_values, verdict, _duels(best.method, complete))


def _duels(model: str, rows: list[LeagueRow]) -> list[Duel]:
    own = next(row for row in rows if row.method == model)
    duels = []
    for row in rows:
        if row.method in (model, "boosting"):
            continue
        gap = own.value - row.value
        ahead = _loss(row) - _loss(own)
        verdict = "model" if ahead > 0.02 else "method" if ahead < -0.02 else "open"
        duels.append(Duel(row.method, row.score, own.value, row.value, gap, gap - 0.02, gap + 0.02, verdict))
    return duels


def _calibration(method: str, case: Case, rng: np.random.Generator) -> MethodCalibration:
    drawn = method in MODELS
    quantities = () if method in ORDERS else _outcomes(case)
    return MethodCalibration(
        method=method,
        deciles={
            quantity: [
                DecileRow(tenth, 236, 0.2 * tenth, 0.2 * tenth + 0.03, -0.03, -0.08, 0.02) for tenth in range(1, 11)
            ]
            for quantity in quantities
        },
        activity=[ActivityRow(236, 0.09 * at, 0.09 * at + 0.02, 0.09 * at - 0.04, 0.09 * at + 0.05) for at in range(10)]
        if drawn or method == "hiatus"
        else [],
        coverage=[
            CoverageRow(outcome, p, p + 0.02, p, p + 0.04) for outcome in _outcomes(case) for p in (0.5, 0.8, 0.9, 0.95)
        ]
        if drawn
        else [],
        pit=[
            PitCheck(outcome, 2357, [PitBin(at / 20, float(0.05 + 0.003 * rng.normal())) for at in range(20)],
                     0.043, 0.057, 0.021, 0.24)
            for outcome in _outcomes(case)
        ]
        if drawn
        else [],
        by_frequency=[CalibrationRow(str(x), 400, 0.2 + x, 0.25 + x, 0.1 + x, 0.4 + x) for x in range(7)]
        if drawn
        else [],
        by_cohort=[
            CalibrationRow(f"1997-{month:02d}", 800, 0.5, 0.53 + 0.05 * month, 0.4, 0.7) for month in (1, 2, 3)
        ]
        if drawn
        else [],
    )  # fmt: skip


def _drift(rng: np.random.Generator) -> DriftCheck:
    periods = [DriftPeriod(7 * (26 - at), float(60 + 9 * rng.normal()), 60.0, 47.0, 74.0) for at in range(27)]
    return DriftCheck("mbg_nbd", "week", periods, 0.012, 0.30, 0.021, 0.05, True, 199)


def _totals(case: Case, horizon: float, rng: np.random.Generator) -> list[TotalCheck]:
    return [
        TotalCheck(
            outcome,
            f"1997-{4 + at:02d}-30",
            f"1998-{1 + at:02d}-28",
            horizon,
            case.unit,
            float(1000 + 90 * rng.normal()) * (35 if outcome == "spend" else 1),
            _estimate(960, 30, outcome),
            _estimate(985, 90, outcome),
        )
        for outcome in _outcomes(case)
        for at in range(ORIGINS)
    ]


def _shuffles() -> ShuffleCheck:
    orders = [name for name, rule in SCORES.items() if rule.needs == "ranking"]
    scores = [
        ShuffledScore(name, at % 3, 0.07 + 0.01 * at, 0.05 + 0.01 * at, 0.09 + 0.01 * at)
        for at, name in enumerate(orders)
    ]
    return ShuffleCheck(83, len(METHODS), LEVEL, 5, 0.031, 0.114, 1, scores)


def _estimate(mean: float, sd: float, outcome: str) -> Estimate:
    size = 35 if outcome == "spend" else 1
    low, middle, high = (size * (mean + z * sd) for z in (-1.645, 0, 1.645))
    return Estimate(size * mean, size * sd, low, middle, high)
