"""What to do: stated actions, the best use of a budget, fewer defections, silence, and the way to the next cell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clvmodels.forecast import predict
from clvmodels.forecast.after_purchases import purchases_until
from clvmodels.forecast.checks import discount_rates
from clvmodels.forecast.silence import silence_until
from clvmodels.forecast.what_if import UNCHANGED, changed_values, require_changes
from clvmodels.foundation.changes import Change, Effect
from clvmodels.foundation.decision_results import (
    ActionRow,
    ActionSetting,
    ActionsSection,
    BudgetRow,
    BudgetSplit,
    FewerDefections,
    SilenceRow,
)
from clvmodels.foundation.errors import FitError
from clvmodels.foundation.estimates import Estimate, estimate
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import TransactionLog
from clvmodels.foundation.results import ActOn
from clvmodels.foundation.units import DAYS_PER_YEAR, days_per_unit
from clvmodels.strategy import CELLS
from clvmodels.strategy.actions import (
    NOBODY,
    Outcomes,
    Split,
    best_actions,
    best_split,
    draws_of,
    expected_gains,
    outcomes_of,
)
from clvmodels.study.config import ActionTable, EffectTable, Study
from clvmodels.study.decision import Outlook
from clvmodels.study.progress import seed_for

ALL = "all"
CHANCE, CARRIED = "chance", "types"  # reasons against an action
EFFECTS = ("rate", "dropout", "spend")
SPEND_DRAWS = 20  # of the parameters, for the expected spend that the way to the next cell rests on
NEXT_CELL = {"low_low": "low_high", "high_low": "high_high", "low_high": "high_high", "high_high": ""}


@dataclass(frozen=True)
class Actions:
    """The section, and columns of the customers' table, in its order."""

    section: ActionsSection
    columns: pd.DataFrame


@dataclass(frozen=True)
class Weighed:
    """Actions that the model can tell of, held against all customers.

    Attributes
    ----------
    outcomes : of each action, and at the end of fewer defections if the model has any
    cell : ndarray, shape (N,), place of each customer's label in `CELLS`
    gains : ndarray, shape (A, N), expected gain, without cost
    allowed : ndarray, shape (A, N), whose cell may get the action
    """

    tables: tuple[ActionTable, ...]
    outcomes: Outcomes
    cell: IntArray
    gains: FloatArray
    allowed: NDArray[np.bool_]

    @property
    def costs(self) -> list[float]:
        """A customer, of each action."""
        return [table.cost for table in self.tables]


def weigh_actions(study: Study, log: TransactionLog, outlook: Outlook) -> Actions:
    """Work out what each action, a budget and fewer defections would bring, and how long customers may stay silent."""
    reduction = study.decisions.fewer_defections
    left_out: dict[str, str] = {}
    tables = tuple(table for table in study.actions if _possible(outlook, _change(table), table.key, left_out))
    fewer = Change(dropout=1 - reduction)
    changes = [_change(table) for table in tables]
    if _possible(outlook, fewer, "defections", left_out):
        changes.append(fewer)
    weighed = _weighed(study, outlook, tables, changes)
    section = ActionsSection(
        least_chance=study.decisions.least_chance,
        least_customers=study.decisions.least_customers,
        next_weeks=study.decisions.next_weeks,
        settings=[_setting(table) for table in study.actions],
        actions=[row for place in range(len(tables)) for row in _action_rows(study, weighed, place)],
        split=_split(study, outlook, weighed),
        defections=_defections(outlook, weighed, reduction) if "defections" not in left_out else [],
        silence=[],
        left_out=left_out,
    )
    return _with_columns(study, log, outlook, weighed, section)


def _possible(outlook: Outlook, change: Change, key: str, left_out: dict[str, str]) -> bool:
    """Whether the model's story can have the change; if not, what it says is noted."""
    try:
        require_changes(outlook.fits[0], [change])
    except FitError as problem:
        left_out[key] = str(problem)
        return False
    return True


def _change(table: ActionTable) -> Change:
    rate, dropout, spend = (_effect(getattr(table, name)) for name in EFFECTS)
    return Change(rate=rate, dropout=dropout, spend=spend, key=table.key)


def _effect(table: EffectTable | None) -> Effect | float:
    return 1.0 if table is None else Effect(table.q05, table.q95)


def _weighed(study: Study, outlook: Outlook, tables: tuple[ActionTable, ...], changes: list[Change]) -> Weighed:
    cell = np.array([CELLS.index(key) for key in outlook.matrix.cell])
    costs = [*(table.cost for table in tables), *[0.0] * (len(changes) - len(tables))]
    n_draws = draws_of(len(cell), len(outlook.future.clv.total_draws))
    outcomes = _outcomes(
        study,
        outlook,
        np.arange(len(cell)),
        cell,
        changes,
        costs,
        random_numbers="decision forecast",
        n_draws=n_draws,
    )
    gains = expected_gains(outcomes.gain[: len(tables)], outlook.future.clv.mean, outlook.customers)
    allowed = np.array([[key in table.cells for key in CELLS] for table in tables], dtype=bool).reshape(-1, len(CELLS))
    return Weighed(tables, outcomes, cell, gains, allowed[:, cell])


def _outcomes(
    study: Study,
    outlook: Outlook,
    rows: IntArray,
    cell: IntArray,
    changes: list[Change],
    costs: list[float],
    *,
    random_numbers: str,
    n_draws: int,
) -> Outcomes:
    """Futures of some customers under changes; those without a change are the forecast's, at its random numbers."""
    customers, value = outlook.customers.take(rows), study.value
    values = changed_values(
        *outlook.fits,
        customers,
        (UNCHANGED, *changes),
        horizon=value.horizon,
        seed=seed_for(study.seed, random_numbers),
        rate=discount_rates(value.annual_discount_rate, None, customers),
        margin=value.margin,
        draws=outlook.draws,
    )
    return outcomes_of(values, cell[rows], groups=len(CELLS), costs=costs, n_draws=n_draws)


def _setting(table: ActionTable) -> ActionSetting:
    rate, dropout, spend = (_factor(getattr(table, name)) for name in EFFECTS)
    return ActionSetting(table.key, dict(table.title), table.cost, rate, dropout, spend, list(table.cells))


def _factor(table: EffectTable | None) -> Estimate | None:
    """An effect in five numbers."""
    if table is None:
        return None
    effect = Effect(table.q05, table.q95)
    mean = effect.median * np.exp(effect.log_sd**2 / 2)
    return Estimate(float(mean), float(mean * np.sqrt(np.expm1(effect.log_sd**2))), table.q05, effect.median, table.q95)


def _action_rows(study: Study, weighed: Weighed, place: int) -> list[ActionRow]:
    """An action in all its cells together, and in each of them."""
    table = weighed.tables[place]
    cells = [CELLS.index(key) for key in CELLS if key in table.cells]
    counts = np.bincount(weighed.cell, minlength=len(CELLS))
    nets = {key: weighed.outcomes.net(place, key, table.cost * counts[key]) for key in cells}
    whole = _action_row(study, table, ALL, int(counts[cells].sum()), np.sum(list(nets.values()), axis=0))
    rows = [_action_row(study, table, CELLS[key], int(counts[key]), net) for key, net in nets.items()]
    return [_unless_carried(whole, rows), *rows]


def _unless_carried(whole: ActionRow, rows: list[ActionRow]) -> ActionRow:
    """The row of all cells together: it is not advised where the gain of some would pay for others."""
    carried = whole.advised and any(row.reason == CHANCE for row in rows)
    return replace(whole, advised=False, reason=CARRIED) if carried else whole


def _action_row(study: Study, table: ActionTable, cell: str, customers: int, net: FloatArray) -> ActionRow:
    p_loss = float((net < 0).mean())
    reason = _reason_against(study, customers, p_loss)
    return ActionRow(
        action=table.key,
        cell=cell,
        customers=customers,
        cost=table.cost * customers,
        gain=estimate(net),
        p_loss=p_loss,
        advised=not reason,
        reason=reason,
    )


def _reason_against(study: Study, customers: int, p_loss: float) -> str:
    """Why nothing is recommended, or ""."""
    if customers < study.decisions.least_customers:
        return "small"
    return "" if 1 - p_loss >= study.decisions.least_chance else CHANCE


def _split(study: Study, outlook: Outlook, weighed: Weighed) -> BudgetSplit | None:
    """The best use of the budget, valued at random numbers that had no part in the choice."""
    budget = study.decisions.budget
    if budget is None or not weighed.tables:
        return None
    split = best_split(weighed.gains, weighed.costs, weighed.allowed, budget=budget)
    customers = int((split.action != NOBODY).sum())
    n_draws = draws_of(customers, len(outlook.future.clv.total_draws))
    rows, net = [], np.zeros(n_draws)
    for place, table in enumerate(weighed.tables):
        chosen = np.flatnonzero(split.action == place)
        if not len(chosen):
            continue
        fresh = _outcomes(
            study,
            outlook,
            chosen,
            weighed.cell,
            [_change(table)],
            [table.cost],
            random_numbers="budget",
            n_draws=n_draws,
        )
        counts = np.bincount(weighed.cell[chosen], minlength=len(CELLS))
        for key in np.flatnonzero(counts):
            gain = fresh.net(0, int(key), table.cost * counts[key])
            rows.append(
                BudgetRow(table.key, CELLS[key], int(counts[key]), float(table.cost * counts[key]), estimate(gain))
            )
            net = net + gain
    p_loss = float((net < 0).mean())
    reason = _reason_against(study, customers, p_loss)
    return BudgetSplit(
        budget=budget,
        spent=split.spent,
        customers=customers,
        gain=estimate(net),
        p_loss=p_loss,
        random_gain=_random_gain(weighed, split),
        advised=not reason,
        reason=reason,
        rows=rows,
        curve=[(float(spent), float(gain)) for spent, gain in split.curve],
    )


def _random_gain(weighed: Weighed, split: Split) -> float:
    """Expected net gain if as many customers got each action, picked by chance from those who may get it."""
    gain = 0.0
    for place, table in enumerate(weighed.tables):
        chosen, allowed = (split.action == place).sum(), weighed.allowed[place]
        if chosen:
            gain += float(chosen * (weighed.outcomes.gain[place, allowed].mean() - table.cost))
    return gain


def _defections(outlook: Outlook, weighed: Weighed, reduction: float) -> list[FewerDefections]:
    """Of all, and by cell. They are the last of the changes."""
    before, after = weighed.outcomes.totals[0], weighed.outcomes.totals[-1]
    parts = {ALL: (outlook.future.clv.total_draws, before.sum(axis=0), after.sum(axis=0))}
    parts |= {key: (outlook.cell_equity[key], before[place], after[place]) for place, key in enumerate(CELLS)}
    return [
        FewerDefections(key, reduction, estimate(whole), estimate(changed - some), _share(changed - some, some))
        for key, (whole, some, changed) in parts.items()
    ]


def _share(gain: FloatArray, equity: FloatArray) -> Estimate:
    """The gain as a share of equity, over draws with any."""
    known = equity > 0
    return estimate(gain[known] / equity[known]) if known.any() else Estimate(None, None, None, None, None)


def _with_columns(
    study: Study, log: TransactionLog, outlook: Outlook, weighed: Weighed, section: ActionsSection
) -> Actions:
    """What is told of each customer, and what of it the section sums up."""
    columns = pd.DataFrame(_best_actions(weighed), index=range(len(outlook.customers)))
    columns["days_until_half"], columns["next_cell"] = np.nan, [NEXT_CELL[key] for key in outlook.matrix.cell]
    columns["amount_to_next"] = _amount_to_next(study, log, outlook)
    columns["purchases_to_next"] = np.nan
    left_out, silence = dict(section.left_out), []
    try:
        silent = silence_until(outlook.fits[0], outlook.customers, draws=outlook.draws) * days_per_unit(
            outlook.customers.unit
        )
        columns["days_until_half"] = silent
        silence = _silence(silent, weighed.cell)
    except FitError as problem:
        left_out["silence"] = str(problem)
    try:
        columns["purchases_to_next"] = _purchases_to_next(study, outlook)
    except FitError as problem:
        left_out["purchases_to_next"] = str(problem)
    return Actions(replace(section, silence=silence, left_out=left_out), columns)


def with_next_steps(rows: Sequence[ActOn], customer_id: pd.Series, columns: pd.DataFrame) -> list[ActOn]:
    """Customers worth a decision with what is told of each: how long to wait, what is next, the best action."""
    places = pd.Index(customer_id.astype(str)).get_indexer(pd.Index([row.customer_id for row in rows]))
    return [_with_next_step(row, columns.iloc[place]) for row, place in zip(rows, places, strict=True)]


def _with_next_step(row: ActOn, told: pd.Series) -> ActOn:
    numbers = [float(told[name]) for name in ("days_until_half", "amount_to_next", "purchases_to_next")]
    days, amount, purchases = (None if math.isnan(number) else number for number in numbers)
    return replace(
        row,
        days_until_half=days,
        amount_to_next=amount,
        purchases_to_next=purchases,
        next_cell=str(told["next_cell"]),
        best_action=str(told["best_action"]),
    )


def _best_actions(weighed: Weighed) -> dict[str, object]:
    """The action with the highest expected net gain for each customer, that gain, and the chance that it is a loss."""
    size = len(weighed.cell)
    if not weighed.tables:
        return {"best_action": np.full(size, ""), "net_gain": np.nan, "p_loss_action": np.nan}
    best = best_actions(weighed.gains, weighed.costs, weighed.allowed)
    some, everyone = best != NOBODY, np.arange(size)
    names = np.array([*(table.key for table in weighed.tables), "none"], dtype=object)
    net = weighed.gains[best, everyone] - np.array(weighed.costs)[best]
    return {
        "best_action": names[best],
        "net_gain": np.where(some, net, 0.0),
        "p_loss_action": np.where(some, weighed.outcomes.p_loss[best, everyone], np.nan),
    }


def _amount_to_next(study: Study, log: TransactionLog, outlook: Outlook) -> FloatArray:
    """Contribution that, on top of that of the window of current value, lifts it to its cut; NaN where it is there."""
    (cut,) = (cut for cut in outlook.matrix.cuts if cut.dimension == "current")
    days = min(study.value.current_days, (outlook.as_of - log.first_date).days + 1)
    short = float(np.mean(cut.values)) - outlook.customers.current_value
    return np.where(short > 0, short * days / DAYS_PER_YEAR, np.nan)


def _purchases_to_next(study: Study, outlook: Outlook) -> FloatArray:
    """Purchases soon that would lift expected future value to its cut; NaN where the label is there, or beyond 5."""
    (cut,) = (cut for cut in outlook.matrix.cuts if cut.dimension == "future")
    low = np.flatnonzero(np.isin(outlook.matrix.cell, ("low_low", "high_low")))
    answer = np.full(len(outlook.customers), np.nan)
    if not len(low):
        return answer
    customers, (fit, spend) = outlook.customers.take(low), outlook.fits
    each = predict(spend, customers, quantity="expected_spend", draws=min(SPEND_DRAWS, spend.n_draws)).mean
    with np.errstate(divide="ignore"):
        needed = float(np.mean(cut.values)) / (study.value.margin * each)
    answer[low] = purchases_until(
        fit,
        customers,
        needed,
        within=study.decisions.next_weeks * 7 / days_per_unit(customers.unit),
        horizon=study.value.horizon,
        annual_discount_rate=study.value.annual_discount_rate,
    )
    return answer


def _silence(days: FloatArray, cell: IntArray) -> list[SilenceRow]:
    """Of all, and by cell."""
    members = {ALL: np.full(len(cell), fill_value=True)}
    members |= {key: cell == place for place, key in enumerate(CELLS)}
    return [_silence_row(key, days[of_cell]) for key, of_cell in members.items()]


def _silence_row(key: str, days: FloatArray) -> SilenceRow:
    ahead = days[days > 0]
    q25, q50, q75 = (float(q) for q in np.quantile(ahead, [0.25, 0.5, 0.75])) if len(ahead) else (None, None, None)
    return SilenceRow(key, len(days), int((days == 0).sum()), int(np.isnan(days).sum()), q25, q50, q75)
