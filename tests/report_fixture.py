"""A fixture, not results: a plausible `StudyResults` for CDNOW and its customers table, made from a seed."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clvmodels.foundation.decision_results import (
    ActionRow,
    ActionSetting,
    ActionsSection,
    BasePeriod,
    BudgetRow,
    BudgetSplit,
    ClassCalibrationRow,
    ClassesSection,
    ClassRow,
    EquityRow,
    FewerDefections,
    LorenzPoint,
    MoneySection,
    Movement,
    MovementKind,
    NewCustomers,
    PartRow,
    SilenceRow,
    YearRow,
)
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.ranking_results import CandidateRow, InnerOrigin, RankingChoice
from clvmodels.foundation.records import LedgerLine
from clvmodels.foundation.results import (
    ActOn,
    Alternative,
    CalibrationRow,
    Cell,
    Check,
    Choice,
    ComparisonSection,
    ConformalRow,
    CountRow,
    CoverageRow,
    CriterionRow,
    Cut,
    DataSection,
    DriftCheck,
    DriftPeriod,
    Duel,
    EvidenceSection,
    FitRow,
    LeaveOneOut,
    MatrixPoint,
    MatrixSection,
    ModelSection,
    ParameterRow,
    Period,
    PredictiveCheckTable,
    ReplicatedRow,
    RivalGap,
    RivalGroup,
    RivalRow,
    Score,
    SensitivityRow,
    StudyInfo,
    StudyResults,
    TotalCheck,
    TrackingPoint,
    ValueSection,
)
from clvmodels.strategy import read_strategies

CELLS = ("high_high", "low_high", "high_low", "low_low")
HOSTILE_ID = '<script>alert("id")</script>'


def estimate(mean: float, sd: float) -> Estimate:
    return Estimate(mean, sd, mean - 1.645 * sd, mean, mean + 1.645 * sd)


def fixture_results() -> StudyResults:
    """The whole record, in the shape and size that the full CDNOW study has."""
    rng = np.random.default_rng(20261122)
    return StudyResults(
        study=StudyInfo(
            name="fixture",
            title={"en": "CDNOW: a music shop’s first customers", "zh": "CDNOW：一家网上唱片店的首批客户"},
            background={
                "en": "Test fixture, not results: customers of early 1997, followed for eighteen months.",
                "zh": "测试用数据，并非真实结果。1997 年初首次购买的客户，跟踪十八个月。",
            },
            source="dataset:cdnow",
            data_digest="a" * 64,
            study_digest="b" * 64,
            seed=1997,
            version="0.1.0",
            currency="USD",
            unit="week",
            margin=1.0,
            annual_discount_rate=0.10,
            vocabulary="treatment",
            languages=["en", "zh"],
        ),
        data=_data(),
        history=_history(rng),
        value=_value(),
        matrix=_matrix(rng),
        act_on=_act_on(rng),
        evidence=_evidence(rng),
        comparison=_comparison(),
        models=_models(),
        predictive=_predictive(),
        rivals=[_rivals(rng)],
        ranking=_ranking("1998-06-30", 52.0, 0.5),
        base=_base(),
        classes=_classes(),
        money=_money(),
        actions=_actions(),
        strategies=read_strategies(),
    )


def _data() -> DataSection:
    return DataSection(
        rows_read=69659,
        occasions=67591,
        customers=23570,
        revenue=2500315.63,
        first_date="1997-01-01",
        last_date="1998-06-30",
        ledger=[
            LedgerLine("used", 69579, 2500315.63, ("1, 1997-01-01, 11.77",)),
            LedgerLine("zero_amount", 80, 0.0),
        ],
        set_aside=[LedgerLine("no_positive_spend", 4, 0.0, ("118", "9012"))],
        calibration_end="1997-09-30",
        holdout_end="1998-06-30",
        holdout_length=39.0,
        calibration_customers=23570,
        calibration_repeat_purchases=24723,
        calibration_repeat_buyers=9480,
        holdout_purchases=18952,
        holdout_amount=709763.9,
        holdout_buyers=6840,
        notes=[],
    )


def without_figures(results: StudyResults) -> StudyResults:
    """Results without what the main page's figures are drawn from: a page of them is made at once."""
    lists = {name: [] for name in ("tracking", "by_frequency", "counts", "coverage", "pit_purchases", "pit_spend")}
    return replace(
        results,
        history=[],
        matrix=replace(results.matrix, points=[]),
        value=replace(results.value, lorenz=[]),
        evidence=replace(results.evidence, drift=None, **lists),
        comparison=replace(results.comparison, scores=[]),
        predictive=[],
        rivals=[],
        base=[],
        classes=None,
        money=None,
        actions=None,
    )


def retail_results() -> StudyResults:
    """The fixture over the dirt of UCI Online Retail, with choices: it has a page of data quality."""
    results = fixture_results()
    study = replace(
        results.study,
        name="retail",
        title={"en": "Online Retail: a wholesaler of gifts", "zh": "Online Retail：一家礼品批发商"},
        source="transactions.parquet",
        currency="GBP",
    )
    return replace(results, study=study, data=retail_data(), history=_retail_history())


def retail_data() -> DataSection:
    """Sums as plain pandas finds them by these rules; the first id is nasty."""
    return DataSection(
        rows_read=541909,
        occasions=16591,
        customers=4324,
        revenue=8339012.56,
        first_date="2010-12-01",
        last_date="2011-12-09",
        ledger=[
            LedgerLine("used", 387524, 8339012.56),
            LedgerLine("missing_id", 135080, 1447682.12, (HOSTILE_ID + " 2010-12-01 2.51", "- 2010-12-01 5.02")),
            LedgerLine("excluded", 1920, 13402.49, ("12583 2010-12-01 54.00", "14527 2010-12-01 -27.50")),
            LedgerLine("zero_amount", 33, 0.0, ("12647 2010-12-05 0.00", "16560 2010-12-16 0.00")),
            LedgerLine("duplicate", 5222, 21738.24, ("17908 2010-12-01 1.25", "17908 2010-12-01 2.10")),
            LedgerLine("refund_matched", 7248, 0.0, ("16446 2011-12-09 168469.60", "16446 2011-12-09 -168469.60")),
            LedgerLine("refund_unmatched", 4882, -74087.48, ("15311 2010-12-01 -4.65", '=cmd|"/c calc" -19.80')),
        ],
        set_aside=[],
        calibration_end="2011-08-31",
        holdout_end="2011-12-09",
        holdout_length=14.29,
        calibration_customers=3310,
        calibration_repeat_purchases=6950,
        calibration_repeat_buyers=2030,
        holdout_purchases=3880,
        holdout_amount=2140770.1,
        holdout_buyers=1990,
        notes=_retail_notes(),
        gross=9747747.93,
        choices=[
            Choice("refunds", "match", 12130, -74087.48),
            Choice("zero_amounts", "drop", 33, 0.0),
            Choice("missing_ids", "drop", 135080, 1447682.12),
            Choice("duplicates", "drop", 5222, 21738.24),
            Choice("first_refunds", "keep", 11455, 390637.63),
            Choice("other_currencies", "refuse", 0, 0.0),
            Choice("last_day", "2011-12-09", 0, 0.0),
            Choice("exclude", "stock_code: POST, M, BANK CHARGES, <b>", 1920, 13402.49),
        ],
        alternatives=_retail_alternatives(),
    )


def _retail_notes() -> list[LedgerLine]:
    return [
        LedgerLine("several_orders", 1335, 1820217.43),
        LedgerLine("first_row_refund", 178, 0.0, ("14527", "17548")),
        LedgerLine("largest_row", 1, 38970.0, ("15098 2011-06-10 38970.00",)),
        LedgerLine("left_truncated", 883, 0.0),
        LedgerLine("last_period_cut", 15218, 342851.08),
        LedgerLine("exclude_unseen", 1, 0.0, ("stock_code: SAMPLES",)),
        LedgerLine("similar_id", 2, 0.0, ("a17", "A17")),
    ]


def _retail_alternatives() -> list[Alternative]:
    kept = (387524, 16591, 4324, 8339012.56)
    refuse = (None, None, None, None)
    return [
        Alternative("refunds", "net", False, 392694, 16553, 4332, 8392253.60),
        Alternative("refunds", "match", True, *kept),
        Alternative("refunds", "drop", False, 391148, 16678, 4334, 8736675.79),
        Alternative("refunds", "keep", False, 399654, 19090, 4362, 8264925.08),
        Alternative("zero_amounts", "keep", False, 387557, 16593, 4325, 8339012.56),
        Alternative("zero_amounts", "drop", True, *kept),
        Alternative("missing_ids", "refuse", False, *refuse),
        Alternative("missing_ids", "drop", True, *kept),
        Alternative("duplicates", "keep", False, 392690, 16592, 4324, 8360821.90),
        Alternative("duplicates", "drop", True, *kept),
        Alternative("first_refunds", "keep", True, *kept),
        Alternative("first_refunds", "drop", False, 376966, 16100, 4230, 7948374.93),
        Alternative("other_currencies", "refuse", True, *kept),
        Alternative("other_currencies", "drop", False, *kept),
    ]


def _retail_history() -> list[Period]:
    months = [
        (883, 387996.92, 316, 167803.28, 883),
        (412, 175753.69, 519, 277886.93, 735),
        (381, 148840.42, 557, 290084.74, 756),
        (451, 186506.07, 759, 388671.94, 970),
        (301, 133291.73, 750, 314917.85, 849),
        (284, 113599.07, 1044, 537697.56, 1051),
        (242, 129132.13, 1001, 515486.58, 986),
        (187, 68491.39, 999, 517210.84, 945),
        (169, 75499.69, 1005, 549203.54, 932),
        (296, 142100.12, 1273, 785845.38, 1254),
        (356, 144476.88, 1329, 823254.70, 1354),
        (322, 117500.23, 2054, 1004909.80, 1657),
        (40, 26388.50, 661, 316462.58, 610),
    ]
    starts = [dt.date(2010 + (11 + i) // 12, (11 + i) % 12 + 1, 1).isoformat() for i in range(len(months))]
    return [Period(start, *month) for start, month in zip(starts, months, strict=True)]


def _history(rng: np.random.Generator) -> list[Period]:
    new = [7846, 8476, 7248, *[0] * 15]
    repeat = [720, 3100, 5480, *range(4420, 1420, -200)]
    months = [dt.date(1997 + i // 12, i % 12 + 1, 1).isoformat() for i in range(18)]
    return [
        Period(month, n, n * 34.2, r, r * 36.6 * float(rng.uniform(0.95, 1.05)), n + int(0.8 * r))
        for month, n, r in zip(months, new, repeat, strict=True)
    ]


def _value() -> ValueSection:
    customers = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0])
    value = np.array([0.18, 0.41, 0.565, 0.745, 0.84, 0.935, 0.984, 1.0])
    return ValueSection(
        as_of="1998-06-30",
        horizon=52.0,
        customers=23570,
        current_value_total=1012345.0,
        equity=estimate(778412.0, 14210.0),
        purchases=estimate(21643.0, 330.0),
        spend=estimate(816020.0, 14800.0),
        alive=estimate(15320.0, 410.0),
        buyers=estimate(6912.0, 84.0),
        equity_per_customer=33.03,
        top_10_share=estimate(0.565, 0.008),
        top_20_share=estimate(0.745, 0.007),
        new_customer_clv=Estimate(48.1, 121.0, 0.0, 0.0, 241.0),
        acquisition_ceiling=19.24,
        acquisition_share=0.4,
        at_risk_below=0.5,
        at_risk_customers=1288,
        at_risk_current_value=104211.0,
        lost_below=0.05,
        lost_customers=4812,
        lorenz=[(float(a), float(b)) for a, b in zip(customers, value, strict=True)],
        drifting_equity=Estimate(846310.0, 405210.0, 361540.0, 765130.0, 1614820.0),
        drifting_purchases=Estimate(23120.0, 11030.0, 9870.0, 20940.0, 44360.0),
        drifting_spend=Estimate(887230.0, 424800.0, 379100.0, 802200.0, 1692900.0),
    )


def _cell(key: str, customers: int, undecided: int, share: float, probability: float, ceiling: float) -> Cell:
    equity = 778412.0 * share
    return Cell(
        key=key,
        name=key,
        customers=customers,
        undecided=undecided,
        expected_customers=customers * 0.97 + 40,
        mean_probability=probability,
        current_value=equity * 1.1,
        clv=estimate(equity, equity * 0.02),
        clv_share=share,
        p_alive=0.4 + 0.5 * (key.endswith("high")),
        purchases=4.1 * share,
        ceiling_share=0.2,
        ceiling_per_customer=ceiling,
        budget=ceiling * customers,
    )


def _matrix(rng: np.random.Generator) -> MatrixSection:
    current = np.where(rng.random(420) < 0.3, 0.0, rng.lognormal(3.6, 1.3, 420))
    future = rng.lognormal(2.0, 1.5, 420) * (0.4 + current / 60)
    cuts = {"current": 57.7, "future": 42.3}
    keys = [
        f"{'high' if c >= cuts['current'] else 'low'}_{'high' if f >= cuts['future'] else 'low'}"
        for c, f in zip(current, future, strict=True)
    ]
    counts = np.where(current == 0, 120, rng.integers(1, 60, 420))
    return MatrixSection(
        vocabulary="treatment",
        undecided_below=0.6,
        cuts=[
            Cut("current", "quantile", 0.8, Estimate(57.7, 0.0, 57.7, 57.7, 57.7)),
            Cut("future", "quantile", 0.8, estimate(42.3, 1.6)),
        ],
        cells=[
            _cell("high_high", 3010, 411, 0.64, 0.86, 33.1),
            _cell("low_high", 1704, 902, 0.11, 0.58, 10.05),
            _cell("high_low", 1704, 380, 0.07, 0.71, 6.4),
            _cell("low_low", 17152, 612, 0.18, 0.93, 1.63),
        ],
        undecided=2305,
        points=[
            MatrixPoint(float(c), float(f), int(n), key)
            for c, f, n, key in zip(current, future, counts, keys, strict=True)
        ],
    )


def _act_on(rng: np.random.Generator) -> list[ActOn]:
    rows = []
    labels = {"protect": "high_high", "grow": "low_high", "win_back": "high_low", "undecided": "low_high"}
    for key, label in labels.items():
        for place in range(12):
            clv = 900.0 - 55 * place
            customer_id = HOSTILE_ID if (key, place) == ("protect", 1) else f"{rng.integers(1, 23570):05d}"
            day = dt.date(1998, 6, 28) - dt.timedelta(days=int(rng.integers(0, 200)))
            rows.append(
                ActOn(
                    key,
                    customer_id,
                    day.isoformat(),
                    12 - place // 2,
                    clv * 1.1,
                    0.97 - 0.03 * place,
                    clv / 40,
                    clv,
                    clv * 0.3,
                    clv * 1.9,
                    label,
                    0.95 - 0.03 * place,
                    clv * 0.2,
                    days_until_half=None if place == 3 else 140.0 - 12 * place,
                    next_cell="" if key == "protect" else "high_high",
                    amount_to_next=12.5 + place if key == "grow" else None,
                    purchases_to_next=1.0 + place % 3 if key == "win_back" else None,
                    best_action="none" if place % 4 else "voucher",
                )
            )
    return rows


def _tracking(rng: np.random.Generator) -> list[TrackingPoint]:
    points, total, forecast = [], 0.0, 0.0
    for week in range(78):
        day = dt.date(1997, 1, 7) + dt.timedelta(days=7 * week)
        holdout = week >= 39
        expected = (
            900 * np.exp(-(((week - 13) / 16) ** 2)) + 520 * np.exp(-week / 120)
            if week < 39
            else 600 * np.exp(-(week - 39) / 90)
        )
        expected = float(expected * min(1.0, (week + 1) / 10))
        actual = float(round(expected * rng.normal(0.98, 0.1)))
        total, forecast = total + actual, forecast + expected
        band = (expected - 45, expected + 45) if holdout else (None, None)
        spread = 20 * (week - 38) ** 0.75 if holdout else 0.0
        sums = (forecast - spread, forecast + spread) if holdout else (None, None)
        points.append(
            TrackingPoint(day.isoformat(), holdout, actual, float(expected), *band, total, float(forecast), *sums)
        )
    return points


def _evidence(rng: np.random.Generator) -> EvidenceSection:
    groups = [
        ("0", 14090, 0.24, 0.21),
        ("1", 4410, 0.71, 0.75),
        ("2", 2010, 1.39, 1.36),
        ("3", 1120, 2.05, 1.98),
    ]
    groups += [("4", 650, 2.4, 2.58), ("5", 420, 3.0, 3.16), ("6", 260, 4.0, 3.8), ("7+", 610, 6.5, 6.35)]
    counts = [16730, 3200, 1420, 760, 470, 290, 190, 130, 90, 290]
    return EvidenceSection(
        purchases=estimate(17810.0, 300.0),
        spend=estimate(688000.0, 16200.0),
        actual_purchases=18952,
        actual_spend=709763.9,
        tracking=_tracking(rng),
        by_frequency=[CalibrationRow(g, n, a, e, e - 0.09 * e, e + 0.09 * e) for g, n, a, e in groups],
        counts=[CountRow(str(i) if i < 9 else "9+", n, n * 1.02, n * 0.98, n * 1.06) for i, n in enumerate(counts)],
        coverage=[
            CoverageRow(outcome, p, p + gap, p + gap - 0.004, p + gap + 0.004)
            for outcome, gap in (("purchases", 0.03), ("spend", -0.01))
            for p in (0.5, 0.8, 0.9, 0.95)
        ],
        pit_purchases=[float(0.05 + 0.003 * np.sin(i)) for i in range(20)],
        pit_spend=[float(0.05 + 0.004 * np.cos(i)) for i in range(20)],
        drift=_drift(),
        totals=_totals(),
        conformal=[
            ConformalRow("purchases", 0.9, 23570, 0.944, 0.942, 0.946, 0.924, 0.921, 0.927, 2.64, 2.17),
            ConformalRow("spend", 0.9, 23570, 0.924, 0.921, 0.926, 0.889, 0.886, 0.893, 106.3, 86.9),
        ],
    )


def _drift() -> DriftCheck:
    """Weeks of the calibration, two of which stand out."""
    periods = []
    for week in range(39):
        expected = float(900 * np.exp(-(((week - 13) / 16) ** 2)) + 100)
        actual = float(round(expected * (1.35 if week in (20, 31) else 1 + 0.03 * np.sin(week))))
        periods.append(DriftPeriod(7 * (38 - week), actual, expected, 0.93 * expected, 1.07 * expected))
    return DriftCheck("bg_nbd", "week", periods, 0.051, 0.002, 0.004, 0.02, True, 499)


def _totals() -> list[TotalCheck]:
    dates = ("1997-09-30", "1998-06-30", 39.0, "week")
    wide = (
        Estimate(19310.0, 7400.0, 11240.0, 18220.0, 31430.0),
        Estimate(725000.0, 277000.0, 424900.0, 680500.0, 1177000.0),
    )
    return [
        TotalCheck("purchases", *dates, 18952.0, estimate(17810.0, 300.0), wide[0]),
        TotalCheck("spend", *dates, 709763.9, estimate(688000.0, 16200.0), wide[1]),
    ]


def _ranking(calibration_end: str, horizon: float, share: float) -> RankingChoice:
    names = [(model, baskets) for model in ("pareto_nbd", "nbd", "mbg_nbd", "bg_nbd") for baskets in ("all", "repeat")]
    rows = [
        CandidateRow(
            model, "gamma_gamma", baskets, 0.644 - 0.004 * i, 0.652 - 0.004 * i, 0.648 - 0.004 * i, 0.004 * i, 0.003, w
        )
        for i, ((model, baskets), w) in enumerate(zip(names, (0.5, 0.5, 0, 0, 0, 0, 0, 0), strict=True))
    ]
    return RankingChoice(calibration_end, horizon, [InnerOrigin("1997-05-17", calibration_end)], rows, share)


def _comparison() -> ComparisonSection:
    methods = ["bg_nbd", "abc", "rfm", "same_rate", "lifetimes"]
    values: dict[str, list[float | None]] = {
        "purchases_mae": [0.742, None, None, 0.818, 0.742],
        "purchases_rmse": [1.602, None, None, 2.011, 1.602],
        "purchases_bias": [-0.06, None, None, 0.302, -0.061],
        "purchases_spearman": [0.491, 0.452, 0.47, 0.434, 0.49],
        "purchases_coverage_90": [0.951, None, None, None, None],
        "purchases_crps": [0.481, None, None, None, None],
        "spend_mae": [31.2, None, None, 34.5, 31.3],
        "spend_gini": [0.641, 0.682, 0.592, 0.664, 0.639],
        "spend_capture_20": [0.683, 0.69, 0.64, 0.681, 0.682],
    }
    spread = {score: 0.02 * max(abs(v) for v in row if v is not None) for score, row in values.items()}
    scores = [
        Score(method, score, v, v - spread[score], v + spread[score], 23570)
        for score, row in values.items()
        for method, v in zip(methods, row, strict=True)
        if v is not None
    ]
    lower = ("mae", "rmse", "crps")
    duels = []
    for score, row in values.items():
        for method, v in zip(methods[1:], row[1:], strict=True):
            if v is None or row[0] is None:
                continue
            gap = row[0] - v
            half = 0.6 * spread[score]
            better = (
                gap < 0
                if any(part in score for part in lower)
                else abs(row[0]) < abs(v)
                if "bias" in score
                else gap > 0
            )
            verdict = "open" if abs(gap) < half else "model" if better else "method"
            duels.append(Duel(method, score, row[0], v, gap, gap - half, gap + half, verdict))
    return ComparisonSection("bg_nbd", methods, scores, duels, best=_ranking("1997-09-30", 39.0, 0.0))


def _fit(model: str, method: str, window: str, values: dict[str, float], checks: list[Check]) -> FitRow:
    single = method == "mle"
    parameters = [
        ParameterRow(
            name,
            value,
            value * 0.04,
            *((None, None, None) if single else (value * 0.93, value, value * 1.07)),
            *((None, None) if single else (1812.0, 1750.0)),
            1.002 if method == "nuts" else None,
            0.21 if method == "laplace" else None,
        )
        for name, value in values.items()
    ]
    priors = {} if single else dict.fromkeys(values, (1.0, 1.5))
    return FitRow(model, method, window, 23570, 4120, 1 if single else 2000, -95123.4, parameters, priors, checks)


def _models() -> ModelSection:
    bg = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    gg = {"p": 6.25, "q": 3.74, "v": 15.44}
    good = {
        "mle": [],
        "laplace": [Check("pareto_k", 0.21, 0.7, True), Check("effective_draws", 1812.0, 400.0, True)],
        "nuts": [
            Check("r_hat", 1.002, 1.01, True),
            Check("divergences", 0.0, 0.0, True),
            Check("energy", 0.9, 0.3, True),
        ],
    }
    fits = [
        _fit(model, method, window, values, good[method])
        for window, methods in (("calibration", ("laplace", "mle", "nuts")), ("decision", ("laplace",)))
        for model, values in (("bg_nbd", bg), ("gamma_gamma", gg))
        for method in methods
    ]
    return ModelSection(fits, estimate(0.06, 0.01), criteria=_criteria(), sensitivity=_sensitivity(bg, gg))


def _criteria() -> list[CriterionRow]:
    return [
        CriterionRow("bg_nbd", "laplace", "decision", -171423.5, 1563.2, 4.4, 0.41, 0.7, 0, 23570),
        CriterionRow("gamma_gamma", "laplace", "decision", -48870.6, 118.3, 3.1, 0.22, 0.7, 0, 11516),
    ]


def _sensitivity(*models: dict[str, float]) -> list[SensitivityRow]:
    names = ("bg_nbd", "gamma_gamma")
    return [
        SensitivityRow(model, "decision", parameter, 0.004, 0.117, "none", 0.05)
        for model, parameters in zip(names, models, strict=True)
        for parameter in parameters
    ]


def _replicated(aspect: str, quantity: str, group: str, observed: float, median: float, half: float) -> ReplicatedRow:
    missed = abs(observed - median) > half
    return ReplicatedRow(
        aspect, quantity, group, observed, median, median - half, median + half, 0.005 if missed else 0.6
    )


def _predictive() -> list[PredictiveCheckTable]:
    """Customers who bought exactly once are fewer than the model makes, and the busiest is busier."""
    counts = {"0": (12054, 11874), "1": (4040, 4569), "2": (2205, 2169), "3": (1436, 1274)}
    counts |= {"4": (991, 834), "5": (643, 586), "6": (470, 429), "7+": (1731, 1816)}
    shares = [(0.227, 0.205), (0.129, 0.151), (0.146, 0.146), (0.182, 0.176), (0.316, 0.322)]
    purchases = [
        *(_replicated("purchases", "customers", group, *pair, 92.0) for group, pair in counts.items()),
        _replicated("purchases", "repeats", "all", 44021, 44819, 1400),
        _replicated("purchases", "largest_frequency", "all", 170, 75, 20),
        *(_replicated("timing", "last_purchase", str(i + 1), *pair, 0.0085) for i, pair in enumerate(shares)),
        _replicated("timing", "silence", "all", 32.3, 31.8, 0.55),
    ]
    moments = {"mean": (36.0, 36.1), "median": (27.9, 28.5), "sd": (31.2, 29.1), "q95": (87.5, 85.5)}
    moments["largest_spend"] = (756.0, 619.0)
    spend = [
        _replicated("spend", moment, group, pair[0] + shift, pair[1], 0.06 * pair[1])
        for group, shift in (("all", 0.0), ("1", -2.1), ("2-3", -0.5), ("4+", 2.4))
        for moment, pair in moments.items()
    ]
    return [
        PredictiveCheckTable("bg_nbd", "laplace", 23570, 200, purchases),
        PredictiveCheckTable("gamma_gamma", "laplace", 11516, 200, spend),
    ]


RIVALS = {  # difference of elpd to the best and its standard error, stacking weight, forecast of the total
    "bg_nbd": (-31.4, 12.9, 0.5, 17810.0),
    "mbg_nbd": (0.0, 0.0, 0.0, 16900.0),
    "pareto_nbd": (-78.4, 15.7, 0.5, 18060.0),
    "nbd": (-1506.7, 70.8, 0.0, 29000.0),
}


def _rivals(rng: np.random.Generator) -> RivalGroup:
    evidence, replicated = _evidence(rng), _predictive()[0].rows[:8]
    rows = []
    for model, (difference, se, weight, total) in RIVALS.items():
        lean = total / 17810.0
        names = ("r", "alpha") if model == "nbd" else ("r", "alpha", "a", "b")
        fitted = _fit(model, "laplace", "calibration", dict.fromkeys(names, 1.0), [])
        rows.append(
            RivalRow(
                model=model,
                method="laplace",
                draws=2000,
                log_likelihood=-95337.0 + difference,
                parameters=fitted.parameters,
                loo=LeaveOneOut(-95341.1 + difference, 883.0, 4.6, 0.4, 0, difference, se, weight, "bg_nbd"),
                total=estimate(total, 300.0),
                coverage=[row for row in evidence.coverage if row.outcome == "purchases"],
                tracking=[_leaning(point, lean) for point in evidence.tracking],
                replicated=[replace(row, median=(row.median or 0.0) * lean) for row in replicated],
                counts=[
                    CountRow(row.count, row.actual, row.expected * lean, row.low, row.high) for row in evidence.counts
                ],
            )
        )
    gaps = [
        RivalGap(one, other, RIVALS[one][0] - RIVALS[other][0], RIVALS[one][1] + RIVALS[other][1])
        for one in RIVALS
        for other in RIVALS
        if one != other
    ]
    scores = [
        Score(model, score, value, 0.97 * value, 1.03 * value, 23570)
        for model, values in {
            "bg_nbd": (0.483, 0.94, 0.742, 0.641, -0.06),
            "mbg_nbd": (0.483, 0.945, 0.718, 0.644, -0.108),
            "pareto_nbd": (0.484, 0.946, 0.717, 0.65, -0.047),
            "nbd": (0.56, 1.0, 0.98, 0.646, 0.53),
        }.items()
        for score, value in zip(
            ("purchases_crps", "purchases_log_score", "purchases_mae", "spend_gini", "purchases_bias"),
            values,
            strict=True,
        )
    ]
    duels = [
        Duel("mbg_nbd", "purchases_mae", 0.742, 0.718, 0.024, 0.02, 0.028, "method"),
        Duel("mbg_nbd", "purchases_bias", -0.06, -0.108, -0.048, -0.06, -0.03, "model"),
        Duel("pareto_nbd", "purchases_mae", 0.742, 0.717, 0.025, 0.02, 0.03, "method"),
        Duel("nbd", "purchases_mae", 0.742, 0.98, -0.24, -0.25, -0.23, "model"),
        Duel("nbd", "spend_gini", 0.641, 0.646, -0.005, -0.01, 0.002, "open"),
    ]
    return RivalGroup("purchases", "bg_nbd", 23570, 18952.0, rows, gaps, scores, duels)


def _leaning(point: TrackingPoint, lean: float) -> TrackingPoint:
    if not point.holdout:
        return point
    return replace(point, expected=point.expected * lean, cumulative_expected=point.cumulative_expected * lean)


def _base() -> list[BasePeriod]:
    """Six quarters of a base that was won in the first; counts add up from quarter to quarter."""
    active, seen, periods = 0, 0, []
    for place, (new, kept, won_back) in enumerate(
        [(23570, 0, 0), (0, 7210, 0), (0, 3106, 1480), (0, 2301, 1914), (0, 2012, 1622), (0, 1840, 1439)]
    ):
        left, away = active - kept, seen - active
        start = dt.date(1997 + place // 4, 3 * (place % 4) + 1, 1)
        end = dt.date(1997 + (place + 1) // 4, 3 * ((place + 1) % 4) + 1, 1) - dt.timedelta(days=1)
        periods.append(
            BasePeriod(
                start.isoformat(),
                end.isoformat(),
                active=new + kept + won_back,
                new=new,
                kept=kept,
                won_back=won_back,
                left=left,
                before=active,
                away=away,
                repeat_buyers=kept + won_back + (5210 if new else 0),
                value=41.5 * new + 88.25 * kept + 52.5 * won_back,
                new_value=41.5 * new,
                kept_value=88.25 * kept,
                won_back_value=52.5 * won_back,
                left_value=39.75 * left,
            )
        )
        active, seen = new + kept + won_back, seen + new
    return periods


def _class(key: str, customers: int, undecided: int, share: float) -> ClassRow:
    equity = 778412.0 * share
    return ClassRow(
        key,
        customers,
        customers * 0.98 + 30,
        undecided,
        equity * 1.15,
        estimate(equity, equity * 0.02),
        estimate(share, share * 0.015),
    )


def _held(classes: Sequence[str]) -> list[ClassCalibrationRow]:
    """Groups of each class by what was stated; in one of each more came true than that."""
    steps = [(0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)]
    return [
        ClassCalibrationRow(
            key,
            low,
            high,
            900 + 40 * place,
            (low + high) / 2,
            (low + high) / 2 + (0.06 if place == 4 else 0.01),
            (low + high) / 2 - 0.025,
            (low + high) / 2 + 0.025,
        )
        for key in classes
        for place, (low, high) in enumerate(steps)
    ]


def _classes() -> ClassesSection:
    return ClassesSection(
        tiers=[
            _class("platinum", 236, 61, 0.18),
            _class("gold", 943, 304, 0.23),
            _class("iron", 3536, 1120, 0.33),
            _class("lead", 18855, 940, 0.26),
        ],
        stages=[
            _class("exploration", 9120, 2210, 0.21),
            _class("build_up", 3710, 1504, 0.24),
            _class("stability", 2604, 618, 0.51),
            _class("decline", 8136, 1411, 0.04),
        ],
        ended=[
            _class("early_abort", 6104, 1204, 0.01),
            _class("build_up_death", 1210, 290, 0.01),
            _class("early_exit", 640, 120, 0.01),
            _class("long_kept", 182, 44, 0.01),
        ],
        grades=[],
        graded_by={},
        calibration=_held(("all", *CELLS)),
        tier_calibration=_held(("all", "platinum", "gold", "iron", "lead")),
        bought_calibration=_held(("bought",)),
        calibration_end="1997-09-30",
        moved_from="1997-12-31",
        moved_to="1998-06-30",
        movements=_movements(),
        kinds=[
            MovementKind(key, customers, estimate(customers * 0.99, 24.0), before, after)
            for key, customers, before, after in (
                ("new", 612, 0.0, 20410.0),
                ("upgraded", 1064, 31220.5, 118300.0),
                ("downgraded", 2410, 201340.0, 60210.0),
                ("lost", 3122, 88110.0, 4120.0),
                ("won_back", 402, 0.0, 21890.0),
                ("same", 15960, 611200.0, 590140.0),
            )
        ],
    )


def _movements() -> list[Movement]:
    counts = {
        "high_high": {"high_high": 2104, "low_high": 402, "high_low": 610, "low_low": 388, "lost": 96},
        "low_high": {"high_high": 404, "low_high": 810, "high_low": 122, "low_low": 704, "lost": 203},
        "high_low": {"high_high": 210, "low_high": 80, "high_low": 640, "low_low": 708, "lost": 511},
        "low_low": {"high_high": 150, "low_high": 300, "high_low": 210, "low_low": 12406, "lost": 2312},
        "none": {"high_high": 42, "low_high": 90, "high_low": 60, "low_low": 420},
    }
    return [
        Movement(before, after, n, estimate(n * 1.01, 9.0), 0.0 if before == "none" else 41.5 * n, 38.25 * n)
        for before, row in counts.items()
        for after, n in row.items()
    ]


def _money() -> MoneySection:
    years = [
        YearRow(
            52.0 * year,
            52.0 * (year + 1),
            0.71 * 0.86**year,
            *(
                estimate(whole * 0.8**year, whole * 0.8**year * 0.02)
                for whole in (21643.0, 816020.0, 816020.0, 778412.0)
            ),
        )
        for year in range(5)
    ]
    segments = {
        "cell": dict(zip(CELLS, (0.64, 0.11, 0.07, 0.18), strict=True)),
        "acquisition_month": {"1997-01": 0.3, "1997-02": 0.37, "1997-03": 0.33},
        "<i>city</i>": {HOSTILE_ID: 0.4, "Lyon": 0.6},
    }
    shares = np.array([0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0])
    held = np.array([0.0, 0.18, 0.41, 0.565, 0.745, 0.84, 0.935, 0.984, 1.0])
    return MoneySection(
        past=2500315.63,
        lifetime=estimate(3278727.63, 14210.0),
        years=years,
        parts=[
            PartRow("first_purchase", 806210.25, 0.3224),
            PartRow("repeat_purchases", 1694105.38, 0.6776),
            PartRow("cross_selling", None, None, "category"),
            PartRow("lower_cost", None, None, "cost"),
            PartRow("referral", None, None, "referrer"),
            PartRow("price_premium", None, None, "list_price"),
        ],
        equity=[
            EquityRow(
                segmentation,
                segment,
                round(23570 * share),
                2500315.63 * share,
                1012345.0 * share,
                estimate(778412.0 * share, 14210.0 * share),
                estimate(share, 0.006),
            )
            for segmentation, row in segments.items()
            for segment, share in row.items()
        ],
        newcomers=NewCustomers(
            estimate(812.0, 96.0), estimate(61.25, 2.5), estimate(24118.0, 3350.0), [410, 388, 402], 28
        ),
        gini=estimate(0.742, 0.006),
        lorenz=[
            LorenzPoint(float(a), estimate(float(b), 0.012 * float(b * (1 - b)) + 1e-9))
            for a, b in zip(shares, held, strict=True)
        ],
        costs_known=False,
    )


def _actions() -> ActionsSection:
    gains = {
        "call": {"high_high": (6120.0, 2100.0), "low_high": (410.0, 900.0), "high_low": (-310.0, 800.0)},
        "mailing": {"high_high": (1830.0, 700.0), "low_low": (-9104.0, 1200.0)},
    }
    rows = [
        ActionRow(
            action,
            cell,
            1704 if cell != "high_high" else 3010,
            4.0 * (1704 if cell != "high_high" else 3010),
            estimate(mean, sd),
            0.5 if mean < 1000 else 0.014,
            advised=mean > 1000,
            reason="" if mean > 1000 else "chance",
        )
        for action, row in gains.items()
        for cell, (mean, sd) in row.items()
    ]
    rows.append(ActionRow("mailing", "high_low", 12, 18.0, estimate(40.0, 12.0), 0.01, advised=False, reason="small"))
    return ActionsSection(
        least_chance=0.8,
        least_customers=30,
        next_weeks=13,
        settings=[
            ActionSetting(
                "call",
                {"en": "A call by <b>staff</b>", "zh": "<b>人工</b>致电"},
                4.0,
                estimate(1.12, 0.03),
                None,
                None,
                ["high_high", "low_high", "high_low"],
            ),
            ActionSetting(
                "mailing",
                {"en": "A mailing", "zh": "寄送邮件"},
                1.5,
                estimate(1.03, 0.01),
                estimate(0.95, 0.01),
                None,
                list(CELLS),
            ),
        ],
        actions=rows,
        split=BudgetSplit(
            20000.0,
            17804.0,
            7529,
            estimate(8204.0, 1900.0),
            0.011,
            3120.5,
            True,
            "",
            [
                BudgetRow("call", "high_high", 2604, 10416.0, estimate(5920.0, 1600.0)),
                BudgetRow("mailing", "high_high", 4925, 7388.0, estimate(2284.0, 640.0)),
            ],
            [(0.0, 0.0), (4000.0, 3804.0), (8000.0, 5902.0), (12000.0, 7321.0), (17804.0, 8204.0)],
        ),
        defections=[
            FewerDefections(
                cell, 0.05, estimate(778412.0 * part, 9000.0), estimate(gain, gain * 0.1), estimate(share, 0.002)
            )
            for cell, part, gain, share in (
                ("all", 1.0, 12410.0, 0.0159),
                ("high_high", 0.64, 9102.0, 0.0183),
                ("low_high", 0.11, 1510.0, 0.0176),
                ("high_low", 0.07, 812.0, 0.0149),
                ("low_low", 0.18, 986.0, 0.007),
            )
        ],
        silence=[
            SilenceRow("all", 23570, 6018, 12054, 61.0, 118.0, 240.0),
            SilenceRow("high_high", 3010, 0, 0, 121.0, 184.0, 297.0),
            SilenceRow("low_high", 1704, 14, 0, 88.0, 143.0, 251.0),
            SilenceRow("high_low", 1704, 904, 0, 18.0, 41.0, 77.0),
            SilenceRow("low_low", 17152, 5100, 12054, None, None, None),
        ],
    )


def write_fixture_customers(folder: Path, rows: int = 600) -> None:
    """A customers.parquet with hostile identifiers among the first rows."""
    rng = np.random.default_rng(7)
    clv = np.sort(rng.lognormal(3, 1.4, rows))[::-1]
    ids = [f"{i:05d}" for i in range(rows)]
    ids[0], ids[1], ids[2] = HOSTILE_ID, 'O\'Neil & "sons"', "=1+1"
    columns: dict[str, Any] = {
        "customer_id": ids,
        "frequency": rng.integers(0, 20, rows),
        "recency": rng.uniform(0, 70, rows),
        "T": rng.uniform(70, 78, rows),
        "current_value": clv * rng.uniform(0.5, 1.5, rows),
        "last_purchase": [(dt.date(1998, 6, 30) - dt.timedelta(days=int(d))) for d in rng.integers(0, 300, rows)],
        "p_alive": rng.uniform(0.2, 1.0, rows),
        "purchases_mean": clv / 40,
        "clv_mean": clv,
        "clv_q05": clv * 0.2,
        "clv_q95": clv * 2.1,
        "cell": rng.choice(CELLS, rows),
        "label": rng.choice(CELLS, rows),
        "undecided": rng.random(rows) < 0.1,
        "tier": rng.choice(["platinum", "gold", "iron", "lead"], rows),
        "stage": rng.choice(["exploration", "build_up", "stability", "decline"], rows),
    }
    pq.write_table(pa.table(columns), folder / "customers.parquet")
