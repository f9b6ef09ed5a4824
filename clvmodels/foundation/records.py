"""Records that cross floors: purchase log, windows, summaries of customers, forecasts."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.calendar import Calendar
from clvmodels.foundation.columns import id_texts, numeric_column
from clvmodels.foundation.counting import CountingRules
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.patterns import BoolArray, FloatArray
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import EXACT_COUNTS

if TYPE_CHECKING:  # both are slow to import and only named here
    import pandas as pd
    import xarray as xr

IdArray = NDArray[np.object_]
OPTIONAL_COLUMNS = ("n_customers", "log_interval", "paid_purchases", "log_amount", "log_amount_sd")


def as_date(value: str | dt.date, name: str) -> dt.date:
    """A calendar day from a date or from text such as "1997-09-30".

    Raises
    ------
    DataError
        If it is neither.
    """
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DataError(f'{name} = {value!r}: expected a calendar day such as "1997-09-30".') from None


@dataclass(frozen=True)
class Window:
    """The days that a model learns from, and the days that it is checked on.

    Both ends are inclusive; the holdout begins the day after `calibration_end`.

    Attributes
    ----------
    calibration_end : last day that the model sees
    holdout_end : last day of the check, or None
    unit : "day", "week", "month" or "year"; recency, T and horizons are in this unit
    acquired_from, acquired_until : first and last day of the first purchases of the customers that count, or None:
        customers won before or after are left out, such as those of a log that begins after them
    """

    calibration_end: dt.date
    holdout_end: dt.date | None = None
    unit: str = "week"
    acquired_from: dt.date | None = None
    acquired_until: dt.date | None = None

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        object.__setattr__(self, "calibration_end", as_date(self.calibration_end, "calibration_end"))
        self._check_acquisition()
        if self.holdout_end is None:
            return
        object.__setattr__(self, "holdout_end", as_date(self.holdout_end, "holdout_end"))
        if self.holdout_end <= self.calibration_end:
            raise DataError(
                f"holdout_end {self.holdout_end} is not after calibration_end {self.calibration_end}: "
                "the holdout begins the day after the calibration ends."
            )

    def _check_acquisition(self) -> None:
        for name in ("acquired_from", "acquired_until"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_date(getattr(self, name), name))
        first, last, end = self.acquired_from, self.acquired_until, self.calibration_end
        if first is not None and first > (last or end):
            raise DataError(
                f"acquired_from {first} is after {'calibration_end' if last is None else 'acquired_until'}."
            )
        if last is not None and last > end:
            raise DataError(f"acquired_until {last} is after calibration_end {end}: those won later have no history.")

    @property
    def holdout_length(self) -> float:
        """Length of the holdout in units of time.

        Raises
        ------
        DataError
            If the window has no holdout.
        """
        if self.holdout_end is None:
            raise DataError("this window has no holdout: give Window(holdout_end=...).")
        return (self.holdout_end - self.calibration_end).days / days_per_unit(self.unit)


@dataclass(frozen=True)
class LedgerLine:
    """Rows (or customers) of a log by what became of them.

    Attributes
    ----------
    reason : key, such as "used", "missing_id", "refund_netted", "after_window"; texts are in the catalogues
    rows : number of rows
    amount : sum of their amounts, in currency
    sample : up to five of them as text, for a reader
    """

    reason: str
    rows: int
    amount: float
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """What a look at a log's customers and rows finds.

    Attributes
    ----------
    n_customers : with a purchase
    notes : rows or customers used that a reader should know of, such as "zero_amount" or "repeated_line"
    """

    n_customers: int
    notes: tuple[LedgerLine, ...]


def _cannot_reread(*_: Any) -> Any:
    raise DataError("this log was not read from rows, so no further columns can be read with it.")


@dataclass(frozen=True)
class TransactionLog:
    """A purchase log inside its engine: one row a customer and day, and a ledger of the rows read.

    Purchases of one customer on one day are one occasion; its amount is their sum.

    Attributes
    ----------
    table : Ibis table with columns customer_id (text), date (day), amount (float), lines (whole), and exact (the
        amount as a decimal) where it was read from rows
    rows : Ibis table of the rows as they were read, before anything was set aside; look at them within `unchanged`
    ledger : what became of each row that was read; rows add up to rows_read, amounts to gross
    rules : what counts, as the reader stated it
    rows_read, gross, occasions, first_date, last_date : of the log
    currency : code, such as "USD"
    source : what was read, as text for a reader
    look : works out the findings, when they are first asked for
    fingerprint : works out the digest, when it is first asked for
    unchanged : context in which `rows` can be looked at: it refuses files that have changed since they were read,
        where rows are read from them anew
    counted_with : reads the rows that count, and with them further columns of the source, each under its role; with
        what can be wrong with a column. For the data floor
    """

    table: Any
    rows: Any
    ledger: tuple[LedgerLine, ...]
    rules: CountingRules
    rows_read: int
    gross: float
    occasions: int
    first_date: dt.date
    last_date: dt.date
    currency: str
    source: str
    look: Callable[[], Findings] = field(repr=False, compare=False)
    fingerprint: Callable[[], str] = field(repr=False, compare=False)
    unchanged: Callable[[], AbstractContextManager[None]] = field(default=nullcontext, repr=False, compare=False)
    counted_with: Callable[[tuple[Any, ...], tuple[Any, ...]], Any] = field(
        default=_cannot_reread, repr=False, compare=False
    )

    @cached_property
    def findings(self) -> Findings:
        """Number of customers, and notes."""
        with self.unchanged():
            return self.look()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the source's bytes (of what the rows hold, if it was no file)."""
        return self.fingerprint()

    @property
    def n_customers(self) -> int:
        """Customers with a purchase."""
        return self.findings.n_customers

    @property
    def notes(self) -> tuple[LedgerLine, ...]:
        """Rows or customers used that a reader should know of; they are not in the balance."""
        return self.findings.notes


def _refuse_where(bad: NDArray[np.bool_], ids: IdArray, what: str, fix: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(f"{what} for {int(bad.sum())} customers (first: customer_id {ids[first]}, row {first}). {fix}")


@dataclass(frozen=True)
class CustomerSummary:
    """What a window shows of each customer.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,)
    frequency : ndarray, shape (N,), repeat purchases: purchase days after the first
    recency : ndarray, shape (N,), time of the last purchase since the first, units of time
    T : ndarray, shape (N,), time from the first purchase to the end of the calibration, units of time
    monetary_value : ndarray, shape (N,), mean spend a repeat purchase, in currency; NaN at frequency 0
    first_amount : ndarray, shape (N,), spend of the first purchase day; NaN where not known
    current_value : ndarray, shape (N,), spend of the most recent period at a yearly rate; NaN where not known
    n_customers : ndarray, shape (N,) of counts where a row stands for several customers, else None
    log_interval : ndarray, shape (N,), mean of log(time between two purchases that follow each other), time in
        units; NaN at frequency 0. Not every model reads it: None where it is not known
    paid_purchases, log_amount, log_amount_sd : ndarrays, shape (N,), of the repeat purchases with an amount above
        0: how many, and mean and standard deviation (divided by their number) of log(amount), NaN where there are
        none; None where they are not known
    calendar : terms of season and campaigns, or None
    term_sums : ndarray, shape (N, Q), sum of each term over the days of the repeat purchases, or None
    unit : unit of time
    currency : code, such as "USD"
    calibration_end : last day seen, or None where the caller brought frequency, recency and T
    covariates : column name -> ndarray, shape (N,), of numbers or text, that parameters may depend on
    groups : column name -> ndarray of text, shape (N,), such as channel or country
    set_aside : customers of the log that the summary leaves out, by reason
    """

    customer_id: IdArray
    frequency: FloatArray
    recency: FloatArray
    T: FloatArray
    monetary_value: FloatArray
    first_amount: FloatArray
    current_value: FloatArray
    unit: str
    currency: str
    n_customers: FloatArray | None = None
    log_interval: FloatArray | None = None
    paid_purchases: FloatArray | None = None
    log_amount: FloatArray | None = None
    log_amount_sd: FloatArray | None = None
    calendar: Calendar | None = None
    term_sums: FloatArray | None = None
    calibration_end: dt.date | None = None
    covariates: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    groups: Mapping[str, IdArray] = field(default_factory=dict)
    set_aside: tuple[LedgerLine, ...] = field(default=())

    def __post_init__(self) -> None:
        days_per_unit(self.unit)
        x, t_x, T, ids = self.frequency, self.recency, self.T, self.customer_id
        if len(ids) == 0:
            raise DataError("no customers: the table is empty.")
        for name in ("frequency", "recency", "T"):
            bad = ~np.isfinite(getattr(self, name))
            _refuse_where(bad, ids, f"{name} is missing or not finite", "Fill it in or leave these customers out.")
        whole = (x >= 0) & (x == np.floor(x))
        _refuse_where(~whole, ids, "frequency is negative or not whole", "It counts repeat purchases: 0, 1, 2, ...")
        _refuse_where(x > EXACT_COUNTS, ids, "frequency is above 2^53", "No count is exact there.")
        _refuse_where(T < 0, ids, "T is negative", "Check that the observation does not end before the first purchase.")
        _refuse_where(
            t_x > T, ids, "recency exceeds T", "Check that the observation does not end before their last purchase."
        )
        _refuse_where(t_x < 0, ids, "recency is negative", "It is the time from the first to the last purchase.")
        _refuse_where((x == 0) & (t_x > 0), ids, "recency is above 0 at frequency 0", "Without a repeat it must be 0.")
        _refuse_where((x > 0) & (t_x == 0), ids, "recency is 0 with repeats", "Several orders a day are one purchase.")
        known = (x > 0) & ~np.isnan(self.monetary_value)
        bad = known & ~(np.isfinite(self.monetary_value) & (self.monetary_value > 0))
        _refuse_where(bad, ids, "monetary_value is not above 0", "It is the mean spend of the repeat purchases.")
        for name in ("first_amount", "current_value"):
            bad = np.isinf(getattr(self, name))
            _refuse_where(bad, ids, f"{name} is not finite", "Leave it empty where it is not known.")
        self._check_logs()
        if self.n_customers is not None:
            counts = self.n_customers
            bad = ~(np.isfinite(counts) & (counts >= 1) & (counts == np.floor(counts)))
            _refuse_where(bad, ids, "n_customers is not a whole number above 0", "It counts customers alike.")
            bad = np.cumsum(counts) > EXACT_COUNTS
            _refuse_where(bad, ids, "n_customers come to more than 2^53", "No count is exact there.")
        elif len(set(ids.tolist())) < len(ids):
            names, rows = np.unique(ids.astype(str), return_counts=True)
            most = int(np.argmax(rows))
            raise DataError(f"customer_id {names[most]} is in {rows[most]} rows: one row a customer is expected.")

    def _check_logs(self) -> None:
        """Refuse means of logarithms where they are not known, though there are purchases."""
        if self.paid_purchases is not None:
            paid, ids = self.paid_purchases, self.customer_id
            bad = ~((paid >= 0) & (paid == np.floor(paid)) & (paid <= self.frequency))
            _refuse_where(bad, ids, "paid_purchases is not whole or above frequency", "It counts repeats above 0.")
            bad = (paid == 0) & (self.frequency > 0) & ~np.isnan(self.monetary_value)
            _refuse_where(bad, ids, "paid_purchases is 0 with a monetary_value", "Their mean spend is above 0.")
        for name, count, what in (
            ("log_interval", "frequency", "It is the mean log time between purchases."),
            ("log_amount", "paid_purchases", "It is the mean log amount of the paid repeat purchases."),
            ("log_amount_sd", "paid_purchases", "It is the standard deviation of their log amounts."),
        ):
            values, counts = getattr(self, name), getattr(self, count)
            if values is not None and counts is not None:
                bad = (counts > 0) & ~np.isfinite(values)
                _refuse_where(bad, self.customer_id, f"{name} is missing or not finite with purchases", what)

    def __len__(self) -> int:
        return len(self.customer_id)

    @classmethod
    def from_frame(
        cls,
        frame: "pd.DataFrame",
        *,
        unit: str,
        currency: str = "USD",
        covariates: Sequence[str] = (),
        groups: Sequence[str] = (),
    ) -> "CustomerSummary":
        """A summary from a frame with customer_id (or the index), frequency, recency, T, and optional columns.

        Optional are monetary_value, first_amount, current_value, n_customers, log_interval, paid_purchases,
        log_amount and log_amount_sd, and the columns named as covariates or groups. The input is not changed. A
        monetary_value of 0 is read as not known; customers with repeats that have it are listed in `set_aside`.

        Raises
        ------
        DataError
            If a column is missing, or a customer cannot be as the table says.
        """
        _require_frame(frame)
        missing = [name for name in ("frequency", "recency", "T") if name not in frame.columns]
        if missing:
            have = ", ".join(str(name) for name in frame.columns)
            raise DataError(f"column {missing[0]!r} is missing; the frame has: {have}.")

        def column(name: str) -> FloatArray:
            return numeric_column(frame, name) if name in frame.columns else np.full(len(frame), np.nan)

        ids = _ids(frame)
        frequency = column("frequency")
        monetary_value = column("monetary_value")
        free = (frequency > 0) & (monetary_value == 0)
        monetary_value = np.where(monetary_value == 0, np.nan, monetary_value)
        sample = tuple(ids[free][:5])
        known: dict[str, Any] = {name: column(name) for name in OPTIONAL_COLUMNS if name in frame.columns}
        return cls(
            customer_id=ids,
            frequency=frequency,
            recency=column("recency"),
            T=column("T"),
            monetary_value=monetary_value,
            first_amount=column("first_amount"),
            current_value=column("current_value"),
            **known,
            unit=unit,
            currency=currency,
            covariates=_columns(frame, covariates),
            groups={name: _as_text(values) for name, values in _columns(frame, groups).items()},
            set_aside=(LedgerLine("no_positive_spend", int(free.sum()), 0.0, sample),) if free.any() else (),
        )

    def with_columns(
        self, frame: "pd.DataFrame", *, covariates: Sequence[str] = (), groups: Sequence[str] = ()
    ) -> "CustomerSummary":
        """The same summary with what a frame tells of its customers, found by customer_id (or the index).

        Parameters
        ----------
        frame : a row a customer; customers that the summary does not have are left out
        covariates, groups : names of columns to take

        Raises
        ------
        DataError
            If a column is missing, or a customer is in no row or in several.
        """
        _require_frame(frame)
        keyed = frame.set_axis(_ids(frame), axis="index")
        if keyed.index.has_duplicates:
            twice = keyed.index[keyed.index.duplicated()][0]
            raise DataError(f"customer_id {twice} is in several rows: one row a customer is expected.")
        unknown = ~np.isin(self.customer_id.astype(str), keyed.index.to_numpy(dtype=str))
        _refuse_where(unknown, self.customer_id, "the frame has no row", "Add them, or leave these customers out.")
        rows = keyed.loc[self.customer_id.tolist()]
        new_groups = {name: _as_text(values) for name, values in _columns(rows, groups).items()}
        return replace(
            self,
            covariates={**self.covariates, **_columns(rows, covariates)},
            groups={**self.groups, **new_groups},
        )

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with a row a customer."""
        import pandas as pd

        names = ["customer_id", "frequency", "recency", "T", "monetary_value", "first_amount", "current_value"]
        frame = pd.DataFrame({name: getattr(self, name) for name in names})
        frame["frequency"] = frame["frequency"].astype("int64")
        for name, values in self._logs.items():
            if values is not None:
                frame[name] = values
        if self.n_customers is not None:
            frame["n_customers"] = self.n_customers.astype("int64")
        return frame

    def column(self, name: str) -> FloatArray:
        """A column that a model reads, shape (N,).

        Raises
        ------
        DataError
            If the summary does not have it.
        """
        values = getattr(self, name)
        if values is None:
            raise DataError(
                f"the customers have no column {name}, which this model reads: customer_summary(log, window) gives it, "
                "and CustomerSummary.from_frame takes it."
            )
        return np.asarray(values)

    def as_newcomers(self, n_customers: FloatArray) -> "CustomerSummary":
        """Customers with the same covariates and groups of whom nothing is known yet: at their first purchase.

        Parameters
        ----------
        n_customers : ndarray, shape (N,), how many each row stands for
        """
        none, unknown = np.zeros(len(self)), np.full(len(self), np.nan)
        known = [name for name, values in self._logs.items() if values is not None]
        logs: dict[str, Any] = {name: none if name == "paid_purchases" else unknown for name in known}
        return replace(
            self,
            frequency=none,
            recency=none,
            T=none,
            monetary_value=unknown,
            first_amount=unknown,
            current_value=unknown,
            n_customers=n_customers,
            set_aside=(),
            term_sums=None if self.term_sums is None else np.zeros_like(self.term_sums),
            **logs,
        )

    @property
    def _logs(self) -> dict[str, Any]:
        """The columns that only some models read."""
        return {name: getattr(self, name) for name in OPTIONAL_COLUMNS if name != "n_customers"}

    @property
    def spend_purchases(self) -> FloatArray:
        """Purchases that `spend_mean` is the mean of, shape (N,): the repeats, else the first one, else 0.

        A customer without a paid repeat is valued with what the first basket says, where its amount is known
        and above 0.
        """
        repeats = self.repeats_of_known_spend
        return np.where((repeats == 0) & (self.first_amount > 0), 1.0, repeats)

    @property
    def spend_mean(self) -> FloatArray:
        """Mean spend of the `spend_purchases`, shape (N,), in currency; NaN where there are none."""
        return np.where(self.repeats_of_known_spend > 0, self.monetary_value, self._first_paid)

    @property
    def paid_spend_purchases(self) -> FloatArray:
        """Paid purchases that `paid_spend_mean` is the mean of, shape (N,): the repeats, else the first one, else 0."""
        paid = self._paid_repeats
        return np.where((paid == 0) & (self.first_amount > 0), 1.0, paid)

    @property
    def paid_spend_mean(self) -> FloatArray:
        """Mean spend of the `paid_spend_purchases`, shape (N,), in currency; NaN where there are none."""
        repeats = self.monetary_value * (self.frequency / np.maximum(self.column("paid_purchases"), 1.0))
        return np.where(np.isnan(repeats), self._first_paid, repeats)

    @property
    def log_spend_purchases(self) -> FloatArray:
        """Paid purchases that `log_spend_mean` is the mean of, shape (N,): the repeats, else the first one, else 0."""
        paid = self.column("paid_purchases")
        return np.where((paid == 0) & (self.first_amount > 0), 1.0, paid)

    @property
    def log_spend_mean(self) -> FloatArray:
        """Mean of log(amount) over the `log_spend_purchases`, shape (N,); NaN where there are none."""
        return np.where(self.column("paid_purchases") > 0, self.column("log_amount"), np.log(self._first_paid))

    @property
    def all_spend_purchases(self) -> FloatArray:
        """Purchases that `all_spend_mean` is the mean of, shape (N,): the repeats and the first, where it was paid."""
        return self.repeats_of_known_spend + np.isfinite(self._first_paid)

    @property
    def all_spend_mean(self) -> FloatArray:
        """Mean spend of the `all_spend_purchases`, shape (N,), in currency; NaN where there are none."""
        return _mean_with(self._first_paid, self.repeats_of_known_spend, self.monetary_value)

    @property
    def all_paid_purchases(self) -> FloatArray:
        """Paid purchases, repeats and the first, shape (N,)."""
        return self._paid_repeats + np.isfinite(self._first_paid)

    @property
    def all_paid_mean(self) -> FloatArray:
        """Mean spend of the `all_paid_purchases`, shape (N,), in currency; NaN where there are none."""
        paid = self._paid_repeats
        return _mean_with(self._first_paid, paid, self.monetary_value * (self.frequency / np.maximum(paid, 1.0)))

    @property
    def all_log_amount(self) -> FloatArray:
        """Mean of log(amount) over the `all_paid_purchases`, shape (N,); NaN where there are none."""
        return _mean_with(np.log(self._first_paid), self._paid_repeats, self.column("log_amount"))

    @property
    def all_log_amount_sd(self) -> FloatArray:
        """Standard deviation of log(amount) over the `all_paid_purchases`, shape (N,); NaN where there are none."""
        # A further value adds n / (n + 1) times its squared distance from the mean of the n to the sum of squares.
        distance = np.log(self._first_paid) - self.column("log_amount")
        share = self._paid_repeats / np.maximum(self.all_paid_purchases, 1.0)
        more = np.where(np.isnan(distance), 0.0, share * distance**2)
        within = np.where(self._paid_repeats > 0, self.column("log_amount_sd") ** 2, np.nan)
        return np.sqrt(_mean_with(np.where(np.isnan(self._first_paid), np.nan, more), self._paid_repeats, within))

    @property
    def _first_paid(self) -> FloatArray:
        """What the first purchase was worth, shape (N,); NaN where it is not known or was free."""
        return np.where(self.first_amount > 0, self.first_amount, np.nan)

    @property
    def _paid_repeats(self) -> FloatArray:
        """Repeat purchases above 0 of known spend, shape (N,)."""
        return np.where(np.isnan(self.monetary_value), 0.0, self.column("paid_purchases"))

    @property
    def repeats_of_known_spend(self) -> FloatArray:
        """The frequency, or 0 for customers set aside because their repeat purchases were all free.

        Raises
        ------
        DataError
            If others have repeats without a monetary_value.
        """
        unknown = (self.frequency > 0) & np.isnan(self.monetary_value)
        free = sum(line.rows for line in self.set_aside if line.reason == "no_positive_spend")
        if unknown.sum() > free:
            _refuse_where(
                unknown,
                self.customer_id,
                "monetary_value is missing with repeat purchases",
                "Fill it in or leave these customers out.",
            )
        return np.where(unknown, 0.0, self.frequency)

    def take(self, rows: NDArray[Any]) -> "CustomerSummary":
        """The same summary with some rows: a mask or positions."""
        per_row = {
            f.name: getattr(self, f.name)[rows] for f in fields(self) if isinstance(getattr(self, f.name), np.ndarray)
        }
        covariates = {name: column[rows] for name, column in self.covariates.items()}
        groups = {name: column[rows] for name, column in self.groups.items()}
        return replace(self, **per_row, covariates=covariates, groups=groups)


def _mean_with(first: FloatArray, repeats: FloatArray, mean: FloatArray) -> FloatArray:
    """Mean over repeats of a known mean and a first one, shape (N,); NaN where there are neither."""
    count = repeats + np.isfinite(first)
    total = np.where(repeats > 0, repeats * mean, 0.0) + np.nan_to_num(first)
    mean_of_all: FloatArray = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return mean_of_all


def _require_frame(frame: object) -> None:
    """Refuse what is no pandas frame, or has two columns of one name."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"a {type(frame).__name__} was given: expected a pandas DataFrame (of polars: .to_pandas()).")
    if frame.columns.has_duplicates:
        raise DataError(f"the frame has two columns named {frame.columns[frame.columns.duplicated()][0]!r}.")


def _ids(frame: "pd.DataFrame") -> IdArray:
    """The customer_id of each row, or the index where there is no such column, as text, shape (N,)."""
    ids = frame["customer_id"] if "customer_id" in frame.columns else frame.index
    texts = np.array(id_texts(ids), dtype=object)
    missing = np.asarray(ids.isna()) | (texts == "")
    if missing.any():
        raise DataError(f"customer_id is missing in row {int(np.argmax(missing))} of the frame.")
    return texts


def _columns(frame: "pd.DataFrame", names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of a frame as arrays of numbers or of text, None where text is missing."""
    if isinstance(names, str):
        raise DataError(f'columns are given as a list, such as ["{names}"].')
    for name in names:
        if name not in frame.columns:
            have = ", ".join(str(column) for column in frame.columns)
            raise DataError(f"column {name!r} is missing; the frame has: {have}.")
    return {name: _as_column(frame[name]) for name in names}


def _as_column(values: "pd.Series[Any]") -> NDArray[Any]:
    """Numbers as floats, everything else as text: "007" stays what it is."""
    from pandas.api import types

    kind = types.infer_dtype(values, skipna=True)
    if kind.startswith(("date", "time", "period")):
        raise DataError(f"column {values.name!r} holds dates: give a number, such as an age in days, or text.")
    if kind in ("integer", "floating", "mixed-integer-float", "boolean", "decimal"):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array([None if missing else str(v) for v, missing in zip(values, values.isna(), strict=True)], object)


def _as_text(column: NDArray[Any]) -> IdArray:
    """A column of groups as text: whole numbers without decimals, None where it is missing."""
    if column.dtype == object:
        return column
    return np.array([None if np.isnan(v) else np.format_float_positional(v, trim="-") for v in column], dtype=object)


@dataclass(frozen=True)
class HoldoutSummary:
    """What the holdout shows of each customer of the calibration, those who did not come back as zeros.

    Attributes
    ----------
    customer_id : ndarray of text, shape (N,), in the order of the customer summary
    purchases : ndarray, shape (N,), purchase days in the holdout
    amount : ndarray, shape (N,), their spend, in currency
    """

    customer_id: IdArray
    purchases: FloatArray
    amount: FloatArray
    window: Window
    currency: str

    @property
    def active(self) -> BoolArray:
        """Whether a customer came back in the holdout, shape (N,)."""
        return self.purchases > 0

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with columns customer_id, purchases, amount, active."""
        import pandas as pd

        names = ["customer_id", "purchases", "amount", "active"]
        frame = pd.DataFrame({name: getattr(self, name) for name in names})
        frame["purchases"] = frame["purchases"].astype("int64")
        return frame


@dataclass(frozen=True)
class DrawBlock:
    """Some draws of some customers: `values` has shape (customers, draws)."""

    rows: slice
    draws: slice
    values: FloatArray


Replay = Callable[[str], Iterator[DrawBlock]]  # "customers": all draws of some; "draws": some draws of all


@dataclass(frozen=True)
class Forecast:
    """A quantity of each customer, as a distribution where the method has one.

    Baselines and models meet in this record. A method without a distribution fills `mean` alone
    and has NaN in the other columns.

    Attributes
    ----------
    quantity : "p_alive", "expected_purchases", "dert", "purchases", "spend", "clv", "expected_clv", "score", ...
    method : name of the method
    customer_id : ndarray of text, shape (N,)
    mean, sd, q05, q50, q95 : ndarray, shape (N,)
    totals : xarray.DataArray (chain, draw), the sum over customers in each draw, or None
    horizon : time from T to the end of what is counted, in `unit`; NaN where the quantity has none
    start : time from T to its beginning, 0 but where a pair (start, horizon) was asked for
    replay : draws of the customers made again, block by block and bit for bit, or None
    p_infinite : ndarray, shape (N,), share of the parameter draws in which the expectation is infinite, of a quantity
        without end; else None
    """

    quantity: str
    method: str
    customer_id: IdArray
    mean: FloatArray
    sd: FloatArray
    q05: FloatArray
    q50: FloatArray
    q95: FloatArray
    totals: "xr.DataArray | None"
    horizon: float
    unit: str
    currency: str
    replay: Replay | None = None
    start: float = 0.0
    p_infinite: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.customer_id)

    @property
    def total_draws(self) -> FloatArray:
        """Totals of all chains one after the other, shape (S,).

        Raises
        ------
        DataError
            If the method has no distribution.
        """
        if self.totals is None:
            raise DataError(f"the forecast of {self.quantity} by {self.method} has no draws.")
        return np.asarray(self.totals.values).ravel()

    def to_pandas(self) -> "pd.DataFrame":
        """A frame with columns customer_id, mean, sd, q05, q50, q95, and p_infinite where the quantity has it."""
        import pandas as pd

        names = ["customer_id", "mean", "sd", "q05", "q50", "q95", *["p_infinite"] * (self.p_infinite is not None)]
        return pd.DataFrame({name: getattr(self, name) for name in names})
