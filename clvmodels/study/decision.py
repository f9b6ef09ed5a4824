"""The second half of a study: models fitted to all data, and what they say of each customer from `as_of` on."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from clvmodels.baselines import BASELINES, Training
from clvmodels.baselines.abc import abc_classes
from clvmodels.baselines.rfm import rfm_scores
from clvmodels.forecast import predict, sample_future_by_period
from clvmodels.forecast.draws import by_draw, over_blocks
from clvmodels.forecast.future import Future
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.foundation.results import ActOn, MatrixPoint, MatrixSection, ValueSection
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference import Fit
from clvmodels.strategy import (
    CELLS,
    ValueMatrix,
    acquisition_ceiling,
    cell_totals,
    cells,
    cut_estimate,
    retention_ceilings,
    value_matrix,
)
from clvmodels.strategy.lifecycle import ALIVE_LIMIT, BUY_LIMIT
from clvmodels.study.config import Study
from clvmodels.study.customers import summarise, training_for
from clvmodels.study.drift import drift_ends, drifting_totals, stationary_at, up_to
from clvmodels.study.fits import fit_pair
from clvmodels.study.labels import Labels, label_customers, matrix_options
from clvmodels.study.newcomers import value_of_new
from clvmodels.study.progress import seed_for
from clvmodels.study.ranking import Ranked, rank_customers
from clvmodels.study.value_sums import (
    ValueSums,
    add_up,
    expected_lorenz,
    segmentations_of,
    segments_table,
    top_share,
    with_labels,
)

LIST_LENGTH = 12
A_YEAR = {"day": 364.0, "week": 52.0, "month": 12.0, "year": 1.0}
YEARS_FROM = 2  # years of horizon from which its cash flow is shown by year, below that by quarter
GRID = 24  # cells of the matrix picture along each axis


@dataclass(frozen=True)
class Base:
    """The customers on the decision date; their current value is contribution.

    Attributes
    ----------
    learnt : those that the models of the decision learn from; `customers` itself where they learn from all
    """

    as_of: dt.date
    customers: CustomerSummary
    learnt: CustomerSummary


@dataclass(frozen=True)
class Outlook:
    """What the models say of the customers on the decision date; per-customer arrays have shape (N,).

    Attributes
    ----------
    learnt : the customers that the fits have learnt from
    ends, flows : end of each period of the horizon, and what the base brings in it; see `FutureByPeriod`
    active : ndarray, shape (S,), customers still active, draw by draw
    p_buy : probability of at least one purchase within the horizon
    buyers : ndarray, shape (S,), customers who buy within the horizon, draw by draw
    draws : of a forecast, as `sample_future` takes them: None for those of the fits
    cell_equity : future value of the customers labelled with each cell, draw by draw: cell to ndarray, shape (S,)
    ceiling : most to spend on keeping each customer
    last_purchase : ndarray of days
    drifting : fields of the value section with totals where demand drifts, those that could be worked out
    """

    as_of: dt.date
    customers: CustomerSummary
    learnt: CustomerSummary
    fits: tuple[Fit, Fit]
    future: Future
    ends: FloatArray
    flows: Mapping[str, FloatArray]
    alive: Forecast
    active: FloatArray
    p_buy: FloatArray
    buyers: FloatArray
    draws: int | None
    matrix: ValueMatrix
    cell_equity: Mapping[str, FloatArray]
    ceiling: FloatArray
    last_purchase: np.ndarray
    drifting: dict[str, Estimate]


@dataclass(frozen=True)
class Decision:
    """Sections of the report and tables on the decision date."""

    labels: Labels
    value: ValueSection
    matrix: MatrixSection
    act_on: list[ActOn]
    table: pd.DataFrame
    segments: pd.DataFrame
    sums: ValueSums


def see_base(study: Study, log: TransactionLog, traits: pd.DataFrame | None) -> Base:
    """Summarise the customers up to the decision date."""
    as_of = study.value.as_of or log.last_date
    everyone, learning = Window(as_of, unit=study.window.unit), study.learning_window(as_of)
    customers = summarise(study, log, traits, everyone)
    customers = replace(customers, current_value=customers.current_value * study.value.margin)  # contribution
    return Base(as_of, customers, customers if learning == everyone else summarise(study, log, traits, learning))


def fit_decision(study: Study, base: Base) -> tuple[Fit, Fit]:
    """Both models on the customers that the decision learns from."""
    return fit_pair(study, base.learnt, study.fit.method, "decision")


def rank_base(study: Study, log: TransactionLog, base: Base) -> Ranked | None:
    """The customers in the order of the models that rank best inside the log; None where the study asks for none."""
    return rank_customers(study, log, base.as_of, base.customers) if study.contest.best else None


def decide(study: Study, log: TransactionLog, outlook: Outlook, ranked: Ranked | None) -> Decision:
    """Customers, segments and strategy: who needs what."""
    labels = label_customers(
        study,
        log,
        outlook.customers,
        fit=outlook.fits[0],
        future=outlook.future,
        alive=outlook.alive,
        p_buy=outlook.p_buy,
    )
    table = _customer_table(study, log, outlook, labels, ranked)
    sums = add_up(outlook.future.clv, segmentations_of(table, outlook.customers))
    return Decision(
        labels=labels,
        value=_value_section(study, outlook, sums),
        matrix=_matrix_section(study, outlook),
        act_on=_act_on(outlook, ranked),
        table=table,
        segments=segments_table(sums, outlook.customers.current_value),
        sums=sums,
    )


def look_ahead(study: Study, log: TransactionLog, base: Base, fits: tuple[Fit, Fit]) -> Outlook:
    """Forecast every customer, add up what they bring where demand drifts, and place them in the matrix."""
    as_of, customers, learnt = base.as_of, base.customers, base.learnt
    draws, drift_at = study.fit.forecast_draws(len(customers)), drift_ends(study, fits[0], study.value.horizon)
    by_period = sample_future_by_period(
        *fits,
        customers,
        ends=np.union1d(_period_ends(study), drift_at),
        annual_discount_rate=study.value.annual_discount_rate,
        margin=study.value.margin,
        seed=seed_for(study.seed, "decision forecast"),
        draws=draws,
        replayed=("clv",),
    )
    future = by_period.future
    alive = predict(fits[0], customers, quantity="p_alive", draws=draws)
    active = _active(alive, np.random.SeedSequence(seed_for(study.seed, "active customers")))
    # with limits of acquisition the fits are of other customers than those to forecast
    everyone = Window(as_of, unit=study.window.unit)
    stationary = stationary_at(by_period, drift_at)
    drifting = drifting_totals(study, log, fits, customers, everyone, stationary) if learnt is customers else {}
    matrix = value_matrix(customers.current_value, future.clv, **matrix_options(study))
    matrix = replace(matrix, customer_id=customers.customer_id)
    equity = cell_totals(matrix, future.clv)
    silence = np.rint((customers.T - customers.recency) * days_per_unit(customers.unit)).astype("timedelta64[D]")
    return Outlook(
        as_of=as_of,
        customers=customers,
        learnt=learnt,
        fits=fits,
        future=future,
        ends=_period_ends(study),
        flows={name: up_to(_period_ends(study), flow, by_period.ends) for name, flow in by_period.flows.items()},
        alive=alive,
        active=active,
        p_buy=by_period.p_buy,
        buyers=by_period.buyers,
        draws=draws,
        matrix=matrix,
        cell_equity=equity,
        ceiling=retention_ceilings(matrix, future.clv, shares=_keep_shares(study)),
        last_purchase=np.datetime64(as_of, "D") - silence,
        drifting=drifting,
    )


def _period_ends(study: Study) -> FloatArray:
    """Ends of equal periods of the horizon, as near to quarters as they go, or to years where it is long."""
    years = study.value.horizon / A_YEAR[study.window.unit]
    periods = max(1, round(years if years >= YEARS_FROM else 4 * years))
    return np.arange(1, periods + 1) / periods * study.value.horizon


def _keep_shares(study: Study) -> dict[str, float]:
    return {key: getattr(study.value.keep_share, key) for key in CELLS}


def _active(alive: Forecast, seeds: np.random.SeedSequence) -> FloatArray:
    """Customers still active in each draw, shape (S,): a coin for each customer with that draw's P(alive)."""

    def counts(chance: FloatArray) -> list[int]:
        own = seeds.spawn(len(chance))

        def count(draw: IntArray) -> int:
            coins = np.random.default_rng(own[draw[0]]).random(chance.shape[1])
            return int((coins < chance[draw[0]]).sum())

        return list(over_blocks(len(chance), count, size=1))

    return np.concatenate([counts(chance) for chance in by_draw(alive)]).astype(np.float64)


def _value_section(study: Study, outlook: Outlook, sums: ValueSums) -> ValueSection:
    customers, future, value = outlook.customers, outlook.future, study.value
    current = customers.current_value
    equity = estimate(future.clv.total_draws)
    new_customer = estimate(value_of_new(study, outlook.fits, outlook.learnt, horizon=value.horizon))
    at_risk = (outlook.alive.mean < ALIVE_LIMIT) & np.isin(outlook.matrix.cell, ("high_high", "high_low"))
    return ValueSection(
        as_of=outlook.as_of.isoformat(),
        horizon=value.horizon,
        customers=len(customers),
        current_value_total=float(current.sum()),
        equity=equity,
        purchases=estimate(future.purchases.total_draws),
        spend=estimate(future.spend.total_draws),
        alive=estimate(outlook.active),
        buyers=estimate(outlook.buyers),
        equity_per_customer=float(future.clv.mean.mean()),
        top_10_share=top_share(sums, 10),
        top_20_share=top_share(sums, 20),
        new_customer_clv=new_customer,
        acquisition_ceiling=acquisition_ceiling(_middle(new_customer), share=value.win_share),
        acquisition_share=value.win_share,
        at_risk_below=ALIVE_LIMIT,
        at_risk_customers=int(at_risk.sum()),
        at_risk_current_value=float(current[at_risk].sum()),
        lost_below=BUY_LIMIT,
        lost_customers=int((outlook.p_buy < BUY_LIMIT).sum()),
        lorenz=expected_lorenz(future.clv, sums.best_first),
        draws=len(outlook.active),
        **outlook.drifting,
    )


def _middle(value: Estimate) -> float:
    """The mean, or the median where the mean is not finite."""
    middle = value.q50 if value.mean is None else value.mean
    assert middle is not None  # an estimate from draws has a median
    return middle


def _matrix_section(study: Study, outlook: Outlook) -> MatrixSection:
    matrix, customers = outlook.matrix, outlook.customers
    current = customers.current_value
    return MatrixSection(
        vocabulary="",  # cells get their names as the results are put together
        undecided_below=matrix.undecided_below,
        cuts=[cut_estimate(cut) for cut in matrix.cuts],
        cells=cells(
            matrix,
            clv=outlook.future.clv,
            current_value=current,
            p_alive=outlook.alive.mean,
            purchases=outlook.future.purchases.mean,
            shares=_keep_shares(study),
            totals=outlook.cell_equity,
        ),
        undecided=int(matrix.undecided.sum()),
        points=_points(current, outlook.future.clv.mean, matrix.cell),
    )


def _points(current: FloatArray, clv: FloatArray, cell: np.ndarray) -> list[MatrixPoint]:
    """Customers counted on a grid even in log money, cell by cell; each point is the mean of its customers."""
    place = np.stack([_grid(current), _grid(clv), np.array([CELLS.index(key) for key in cell])], axis=1)
    _, first, index, counts = np.unique(place, axis=0, return_index=True, return_inverse=True, return_counts=True)
    mean_current = np.bincount(index, weights=current) / counts
    mean_clv = np.bincount(index, weights=clv) / counts
    return [
        MatrixPoint(float(mean_current[i]), float(mean_clv[i]), int(counts[i]), str(cell[first[i]]))
        for i in range(len(counts))
    ]


def _grid(money: FloatArray) -> np.ndarray:
    """Place of each amount on a grid of `GRID` steps, even in log, from its 1 % to its 99.9 % quantile; -1 at 0."""
    positive = money[money > 0]
    if len(positive) == 0:
        return np.full(len(money), -1)
    low, high = np.log(np.quantile(positive, [0.01, 0.999]))
    with np.errstate(divide="ignore"):
        step = (np.log(np.maximum(money, 0.0)) - low) / max(high - low, 1e-9) * GRID
    return np.where(money > 0, np.clip(np.floor(np.where(money > 0, step, 0.0)), 0, GRID - 1), -1).astype(int)


def _act_on(outlook: Outlook, ranked: Ranked | None) -> list[ActOn]:
    """Four lists, the largest stakes first; a customer is on one list only."""
    clv, cell = outlook.future.clv.mean, outlook.matrix.cell
    current = outlook.customers.current_value
    silent = (outlook.alive.mean < ALIVE_LIMIT) & (current > 0)
    doubtful = outlook.matrix.undecided
    lists = {
        "protect": ((cell == "high_high") & ~doubtful & ~silent, clv),
        "grow": ((cell == "low_high") & ~silent, clv),
        "win_back": (silent & np.isin(cell, ("high_high", "high_low")), outlook.ceiling),
        "undecided": (doubtful & (cell != "low_high") & ~silent, clv),
    }
    rows: list[ActOn] = []
    for key, (member, stake) in lists.items():
        order = np.lexsort((outlook.customers.customer_id.astype(str), -stake))
        best = order[member[order]][:LIST_LENGTH]
        rows += [_act_on_row(outlook, ranked, key, int(row)) for row in best]
    return rows


def _act_on_row(outlook: Outlook, ranked: Ranked | None, key: str, row: int) -> ActOn:
    customers, future, matrix = outlook.customers, outlook.future, outlook.matrix
    return ActOn(
        list_key=key,
        customer_id=str(customers.customer_id[row]),
        last_purchase=str(outlook.last_purchase[row]),
        frequency=int(customers.frequency[row]),
        current_value=float(customers.current_value[row]),
        p_alive=float(outlook.alive.mean[row]),
        purchases=float(future.purchases.mean[row]),
        clv=float(future.clv.mean[row]),
        clv_low=float(future.clv.q05[row]),
        clv_high=float(future.clv.q95[row]),
        label=str(matrix.cell[row]),
        label_probability=float(matrix.probabilities[row, CELLS.index(matrix.cell[row])]),
        ceiling=float(outlook.ceiling[row]),
        rank=None if ranked is None or ranked.rank is None else int(ranked.rank[row]),
    )


def _customer_table(
    study: Study, log: TransactionLog, outlook: Outlook, labels: Labels, ranked: Ranked | None
) -> pd.DataFrame:
    """A row a customer: history, forecasts, cell, tier, stage, rank, and the baselines' scores."""
    customers = outlook.customers
    frame = customers.to_pandas().assign(
        last_purchase=np.datetime_as_string(outlook.last_purchase, unit="D"),
        p_alive=outlook.alive.mean,
        p_buy=outlook.p_buy,
    )
    for name in ("purchases", "spend", "clv"):
        forecast: Forecast = getattr(outlook.future, name)
        for column in ("mean", "sd", "q05", "q50", "q95"):
            frame[f"{name}_{column}"] = getattr(forecast, column)
    frame = frame.assign(**outlook.matrix.to_pandas().drop(columns="customer_id"))
    frame["ceiling"] = outlook.ceiling
    frame = frame.assign(**labels.columns)
    frame["abc_class"] = abc_classes(customers)
    frame["rfm_group"] = rfm_scores(customers).group
    if ranked is not None and ranked.rank is not None:
        frame = frame.assign(rank=ranked.rank, rank_score=ranked.score)
    frame = with_labels(frame, customers)
    window, horizon = Window(outlook.as_of, unit=study.window.unit), study.value.horizon
    training = training_for(study.contest.baselines, log, window, horizon=horizon)
    for name in study.contest.baselines:
        frame[f"{name}_score"] = _baseline_score(name, customers, horizon, training)
    return frame


def _baseline_score(name: str, customers: CustomerSummary, horizon: float, training: Training) -> FloatArray:
    """What a baseline ranks customers by, shape (N,); NaN where it gives no forecast on these data."""
    try:
        forecasts = BASELINES[name].forecasts(customers, horizon, training=training)
    except FitError:  # another package's fit; the contest names it
        return np.full(len(customers), np.nan)
    return next(forecasts[key].mean for key in ("score", "spend", "purchases") if key in forecasts)
