"""What the base has brought, brings and will bring, and what customers still to be won would add."""

import math

import msgspec
import numpy as np

from clvmodels.data import past_value
from clvmodels.data.value_parts import PastValue
from clvmodels.forecast import predict
from clvmodels.foundation.decision_results import EquityRow, LorenzPoint, MoneySection, NewCustomers, YearRow
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, TransactionLog
from clvmodels.inference import Fit
from clvmodels.study.config import Study
from clvmodels.study.decision import Decision, Outlook
from clvmodels.study.newcomers import customers_to_be_won
from clvmodels.study.value_sums import ValueSums, steps_of

ALIVE_DRAWS = 32  # of the parameters, and so many customers: the mean share is known to a few thousandths then
ALIVE_CUSTOMERS = 20_000


def read_past(study: Study, log: TransactionLog) -> PastValue:
    """What customers have contributed up to the decision, and its parts.

    Raises
    ------
    DataError
        If a column of [value.parts] cannot be used.
    """
    columns = msgspec.structs.asdict(study.value.parts)
    return past_value(log, until=study.value.as_of or log.last_date, margin=study.value.margin, **columns)


def money_section(
    study: Study, log: TransactionLog, past: PastValue, outlook: Outlook, decision: Decision
) -> MoneySection:
    """The money of a study on the day of its decision.

    Raises
    ------
    DataError
        If the past is of other customers than the decision.
    """
    sums = decision.sums
    _require_same(log, past, outlook.customers)
    won = customers_to_be_won(study, log, outlook.as_of, outlook.fits, outlook.learnt)
    spent = float(past.contribution.sum())
    return MoneySection(
        past=spent,
        lifetime=estimate(spent + sums.total),
        years=_periods(outlook),
        parts=list(past.parts),
        equity=_equity(sums, past.contribution, outlook.customers.current_value),
        newcomers=won if isinstance(won, NewCustomers) else None,
        gini=estimate(sums.gini),
        lorenz=_lorenz(sums),
        costs_known=past.observed_margin is not None,
        observed_margin=past.observed_margin,
        no_newcomers="" if isinstance(won, NewCustomers) else won,
    )


def _require_same(log: TransactionLog, past: PastValue, customers: CustomerSummary) -> None:
    """Refuse a source that had other customers when it was read once more, for its further columns."""
    if not np.array_equal(past.customer_id.astype(str), customers.customer_id.astype(str)):
        raise DataError(
            f"{log.source}: read once more for [value.parts] it has other customers than before. Do not change it "
            "while the study runs."
        )


def _periods(outlook: Outlook) -> list[YearRow]:
    """The base's cash flow, a row a period."""
    flows, starts = outlook.flows, np.append(0.0, outlook.ends[:-1])
    alive = _alive(outlook.fits[0], outlook.customers, outlook.ends)
    return [
        YearRow(
            start=float(starts[i]),
            end=float(outlook.ends[i]),
            alive=alive[i],
            purchases=estimate(flows["purchases"][:, i]),
            spend=estimate(flows["spend"][:, i]),
            margin=estimate(flows["margin"][:, i]),
            discounted=estimate(flows["discounted_margin"][:, i]),
        )
        for i in range(len(outlook.ends))
    ]


def _alive(fit: Fit, customers: CustomerSummary, ends: FloatArray) -> list[float]:
    """Expected share of the customers still there at each time; of some of them, evenly spaced, where they are many."""
    step = math.ceil(len(customers) / ALIVE_CUSTOMERS)
    some = customers.take(np.arange(0, len(customers), step)) if step > 1 else customers
    draws = min(ALIVE_DRAWS, fit.n_draws)
    return [float(predict(fit, some, quantity="p_alive", horizon=float(end), draws=draws).mean.mean()) for end in ends]


def _equity(sums: ValueSums, past: FloatArray, current_value: FloatArray) -> list[EquityRow]:
    """A row a segment of each segmentation."""
    rows = []
    whole = np.maximum(sums.total, np.finfo(float).tiny)
    for name, segments in sums.segmentations.items():
        count = np.bincount(segments.codes, minlength=len(segments.names))
        brought, brings = segments.add(past), segments.add(current_value)
        rows += [
            EquityRow(
                segmentation=name,
                segment=segment,
                customers=int(count[i]),
                past=float(brought[i]),
                current_value=float(brings[i]),
                equity=estimate(sums.equity[name][i]),
                share=estimate(sums.equity[name][i] / whole),
            )
            for i, segment in enumerate(segments.names)
        ]
    return rows


def _lorenz(sums: ValueSums) -> list[LorenzPoint]:
    size = len(sums.best_first)
    points = zip(steps_of(size), sums.shares, strict=True)
    return [LorenzPoint(float(best / size), estimate(share)) for best, share in points]
