"""Forecasts of very many customers, written as Parquet part by part, in memory that does not grow with them."""

import functools
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clvmodels.data import Parts, map_customers
from clvmodels.forecast.clv import expected_clv, sample_clv
from clvmodels.forecast.future import sample_spend
from clvmodels.forecast.new_customer import stranger
from clvmodels.forecast.predict import predict
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.inference.result import Fit
from clvmodels.inference.storage import load_fit

STATISTICS = ("mean", "sd", "q05", "q50", "q95")
PLAIN_HISTORY = {"frequency", "recency", "T", "spend_purchases", "spend_mean"}  # known without logarithms
TOTALS = b"clvmodels.totals"


@dataclass(frozen=True)
class WrittenForecasts:
    """Forecasts in a folder.

    Attributes
    ----------
    parts : the files, and the number of customers in them
    quantities : that are in them
    totals : quantity -> ndarray, shape (S,), the sum over all customers in each draw; empty where executors of
        Spark wrote them
    """

    parts: Parts
    quantities: tuple[str, ...]
    totals: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Asked:
    """What is forecast of each slice: plain values and saved fits, so that any process can work it out.

    Attributes
    ----------
    fit, spend : bytes of `Fit.save`
    others : arguments as of `write_forecasts`
    """

    quantities: tuple[str, ...]
    fit: bytes
    spend: bytes | None
    horizon: float | None
    annual_discount_rate: float | None
    margin: float
    seed: int | None
    draws: int | None

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def write_forecasts(
    log: TransactionLog,
    window: Window,
    folder: str | Path,
    *,
    fit: Fit,
    spend: Fit | None = None,
    quantities: Sequence[str] = ("p_alive", "purchases"),
    horizon: float | None = None,
    annual_discount_rate: float | None = None,
    margin: float = 1.0,
    seed: int | None = None,
    draws: int | None = None,
    rows: int = 100_000,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenForecasts:
    """Forecasts of each customer of a log, written to a folder of Parquet files without bringing all into memory.

    The numbers are those of `predict`, `sample_clv` and `expected_clv` on `customer_summary(log, window)`, bit for
    bit: the random numbers of a customer depend on the seed, the customer_id and the draw alone. The files have
    customer_id, frequency, recency, T, monetary_value, and of each quantity its _mean, _sd, _q05, _q50 and _q95.

    Parameters
    ----------
    folder : new or empty, or one in which the same was begun: parts that are there whole are kept. On Spark the
        executors write to it, and it may be an address of a store such as "s3a://..."
    fit, spend : fits of a purchase model, and of a spend model for amounts
    quantities : of "p_alive", "expected_purchases", "purchases", "dert", "expected_spend" (a purchase), "spend" (all
        in the horizon), "clv", "expected_clv"
    horizon : length of time, in the window's unit
    annual_discount_rate : effective rate a year, .10 for 10 %; for "dert", "clv" and "expected_clv"
    margin : share of spend that is profit; for "clv" and "expected_clv"
    seed : of the random numbers; for "purchases", "spend" and "clv"
    draws : number of draws S; by default those of the fits
    rows : customers a part; memory grows with it, and not with the number of customers
    progress : called with the number of parts written and of all, but on Spark

    Returns
    -------
    WrittenForecasts : the files, and the totals over customers in each draw

    Raises
    ------
    DataError
        If an argument is missing, cannot be used or is not used, or the folder holds something else.
    FitError
        If the fits do not belong together or to this window, or need columns that a log does not have.
    """
    known = tuple(quantities)
    _refuse_arguments(known, spend, horizon=horizon, annual_discount_rate=annual_discount_rate, seed=seed)
    asked = Asked(
        quantities=known,
        fit=_saved(fit),
        spend=None if spend is None else _saved(spend),
        horizon=horizon,
        annual_discount_rate=annual_discount_rate,
        margin=margin,
        seed=seed,
        draws=draws,
    )
    nobody = replace(stranger(window.unit, log.currency), calibration_end=window.calibration_end)
    forecast_table(asked, nobody)  # refuses what cannot be, before any long work
    read = {name for one in (fit, spend) if one is not None for name in one.model.history}
    parts = map_customers(
        log,
        window,
        functools.partial(forecast_table, asked),
        folder,
        request=asked.digest,
        rows=rows,
        logarithms=not read <= PLAIN_HISTORY,
        progress=progress,
    )
    return WrittenForecasts(parts, known, _totals(parts))


def forecast_table(asked: Asked, customers: CustomerSummary) -> Any:
    """An Arrow table with the history and the forecasts of some customers; totals by draw are in its metadata."""
    fit, spend = _loaded(asked.fit), None if asked.spend is None else _loaded(asked.spend)
    columns: dict[str, Any] = {"customer_id": pa.array(customers.customer_id, type=pa.string())}
    columns["frequency"] = customers.frequency.astype(np.int64)
    columns |= {name: _column(getattr(customers, name)) for name in ("recency", "T", "monetary_value")}
    totals = {}
    for quantity in asked.quantities:
        forecast = FORECASTS[quantity].of(asked, fit, spend, customers)
        columns |= {f"{quantity}_{name}": _column(getattr(forecast, name)) for name in STATISTICS}
        totals[quantity] = forecast.total_draws.tolist()
    return pa.table(columns).replace_schema_metadata({TOTALS: json.dumps(totals)})


def _column(values: FloatArray) -> Any:
    """Numbers as Arrow has them: null where one is not known."""
    return pa.array(values, from_pandas=True)


# --- the quantities ---

OfCustomers = Callable[[Asked, Fit, Any, CustomerSummary], Forecast]


@dataclass(frozen=True)
class Quantity:
    """How a quantity is forecast, and which arguments it reads."""

    of: OfCustomers
    reads: frozenset[str]


def _of_fit(quantity: str, *reads: str) -> Quantity:
    """A quantity of the purchase model that `predict` gives."""

    def of(asked: Asked, fit: Fit, _: Any, customers: CustomerSummary) -> Forecast:
        arguments = {name: getattr(asked, name) for name in reads}
        return predict(fit, customers, quantity=quantity, draws=asked.draws, **arguments)

    return Quantity(of, frozenset(reads))


def _expected_spend(asked: Asked, _: Fit, spend: Any, customers: CustomerSummary) -> Forecast:
    return predict(spend, customers, quantity="expected_spend", draws=asked.draws)


def _spend(asked: Asked, fit: Fit, spend: Any, customers: CustomerSummary) -> Forecast:
    horizon, seed = asked.horizon, asked.seed
    return sample_spend(fit, spend, customers, horizon=horizon, seed=seed, draws=asked.draws)  # type: ignore[arg-type]


def _clv(asked: Asked, fit: Fit, spend: Any, customers: CustomerSummary) -> Forecast:
    return sample_clv(fit, spend, customers, seed=asked.seed, **_worth(asked))  # type: ignore[arg-type]


def _expected_clv(asked: Asked, fit: Fit, spend: Any, customers: CustomerSummary) -> Forecast:
    return expected_clv(fit, spend, customers, **_worth(asked))


def _worth(asked: Asked) -> dict[str, Any]:
    """What both kinds of CLV read."""
    return {name: getattr(asked, name) for name in ("horizon", "annual_discount_rate", "margin", "draws")}


FORECASTS: dict[str, Quantity] = {
    "p_alive": _of_fit("p_alive"),
    "expected_purchases": _of_fit("expected_purchases", "horizon"),
    "purchases": _of_fit("purchases", "horizon", "seed"),
    "dert": _of_fit("dert", "annual_discount_rate"),
    "expected_spend": Quantity(_expected_spend, frozenset({"spend"})),
    "spend": Quantity(_spend, frozenset({"spend", "horizon", "seed"})),
    "clv": Quantity(_clv, frozenset({"spend", "horizon", "annual_discount_rate", "seed"})),
    "expected_clv": Quantity(_expected_clv, frozenset({"spend", "horizon", "annual_discount_rate"})),
}


def _refuse_arguments(quantities: tuple[str, ...], spend: Fit | None, **given: Any) -> None:
    """Refuse quantities that are not known, and arguments that one lacks or none reads."""
    if not quantities or len(set(quantities)) < len(quantities):
        raise DataError(f"quantities = {quantities!r}: expected one or more, each once.")
    for quantity in quantities:
        if quantity not in FORECASTS:
            raise DataError(f'quantities: "{quantity}" is unknown, expected some of {", ".join(FORECASTS)}.')
    for name, value in {"spend": spend, **given}.items():
        readers = [quantity for quantity in quantities if name in FORECASTS[quantity].reads]
        if readers and value is None:
            raise DataError(f"{', '.join(readers)}: give {name}=.")
        if value is not None and not readers:
            raise DataError(f"{name}: none of {', '.join(quantities)} reads it; leave it out.")


# --- fits as bytes, and totals ---


def _saved(fit: Fit) -> bytes:
    """The file that `Fit.save` writes.

    Raises
    ------
    FitError
        If the model reads a calendar, whose sums parts of a log do not have.
    """
    if fit.model.timetable is not None:
        raise FitError(f"{fit.model.name} is on a calendar, which parts of a log lack: use predict on the summary.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fit.nc")
        fit.save(path)
        return path.read_bytes()


@functools.lru_cache(maxsize=8)
def _loaded(saved: bytes) -> Fit:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fit.nc")
        path.write_bytes(saved)
        return load_fit(path)


def _totals(parts: Parts) -> dict[str, FloatArray]:
    """The sums of the parts' totals, in the order of the parts."""
    totals: dict[str, FloatArray] = {}
    for path in parts.files:
        found = json.loads((pq.read_schema(path).metadata or {}).get(TOTALS, b"{}"))
        for quantity, values in found.items():
            totals[quantity] = totals.get(quantity, 0.0) + np.array(values)
    return totals
