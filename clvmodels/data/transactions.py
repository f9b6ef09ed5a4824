"""Reading a purchase log: every row checked, settled and accounted for, one occasion a customer and day."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clvmodels.data.datasets import PREFIX, named_dataset
from clvmodels.data.engines import first_row, materialise, refusals, total
from clvmodels.data.layout import Layout, purchase_columns
from clvmodels.data.ledger import ledger, notes
from clvmodels.data.refunds import COUNTED, REFUNDS, with_fates
from clvmodels.data.sources import Source, digest_of_files, open_source
from clvmodels.data.values import MISSING_ID, Fault, check_date_format, check_values, check_word, out_of_range, parsed
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.records import TransactionLog

FAULTS = (
    MISSING_ID,
    Fault("date", lambda rows: rows.date.isnull(), "Fill them in, or leave these rows out."),
    Fault("amount", lambda rows: rows.amount.isnull(), "Amounts are plain numbers with a decimal point: 1234.50."),
    Fault("amount", lambda rows: out_of_range(rows.amount), "Amounts are finite numbers below 1e15."),
)


def read_transactions(
    source: Any,
    *,
    customer: str = "customer_id",
    date: str = "date",
    amount: str = "amount",
    currency: str = "USD",
    date_format: str | None = None,
    refunds: str = "net",
    zero_amounts: str = "keep",
    missing_ids: str = "refuse",
    delimiter: str | None = None,
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> TransactionLog:
    """A purchase log: one row a customer and day, its amount the sum of the day's lines.

    Parameters
    ----------
    source : path or glob of CSV or Parquet files, "dataset:NAME", pandas, polars or pyarrow frame, Ibis table
    customer, date, amount : names of the columns; a named data set brings its own
    currency : code of the one currency of all amounts
    date_format : strptime codes such as "%d/%m/%Y" for dates that are texts or whole numbers; without
        it a text is an ISO date (1997-03-04, a time may follow). The day is the date as it is
        written, whatever its time zone.
    refunds : what an amount below 0 is. "net": summed within the customer's day; a day that has a
        refund and does not come to more than 0 is no purchase. "match": cancels the customer's
        latest earlier purchase of the same amount, or one of that day. "drop": set aside.
        "keep": an amount like any other.
    zero_amounts : "keep" counts a line at 0 as a purchase, "drop" sets it aside
    missing_ids : "refuse" or "drop"
    delimiter : of text files: " " for runs of blanks; by default that of , ; tab | most in the header
    columns : names of all columns of text files that have no header line
    encoding : of text files

    Returns
    -------
    TransactionLog
        Its ledger has each row that was read once, by what became of it.

    Raises
    ------
    DataError
        If the source, a column or a value cannot be read, or an option's word is not known.

    Notes
    -----
    Ids are text; blanks around them are left out, leading zeros are kept. Amounts are summed
    exactly, in ten decimals, so that threads and the order of rows change no digit.
    """
    check_word("refunds", refunds, REFUNDS)
    check_word("zero_amounts", zero_amounts, ("keep", "drop"))
    check_word("missing_ids", missing_ids, ("refuse", "drop"))
    check_date_format(date_format)
    names = None if columns is None else tuple(columns)
    layout = Layout(purchase_columns(customer, date, amount), date_format, delimiter, names, encoding)
    opened, layout = _open(source, layout)
    with refusals(opened.name):
        lines = materialise(parsed(opened.rows, layout))
        faults = [fault for fault in FAULTS if fault is not MISSING_ID or missing_ids == "refuse"]
        rows_read = check_values(lines, opened, layout, faults=faults)
        fates = materialise(with_fates(lines, refunds=refunds, zero_amounts=zero_amounts))
        return _log(fates, opened, rows_read=rows_read, currency=currency)


def _open(source: Any, layout: Layout) -> tuple[Source, Layout]:
    if not (isinstance(source, str) and source.startswith(PREFIX)):
        return open_source(source, layout), layout
    dataset = named_dataset(source, "purchase log")
    layout = dataset.layout_beside(layout)
    return replace(open_source(dataset.path, layout), name=source), layout


def _log(fates: Any, source: Source, *, rows_read: int, currency: str) -> TransactionLog:
    counted = fates.filter(fates.fate.isin(COUNTED))
    daily = counted.group_by("customer_id", "date").aggregate(amount=total(counted.amount), lines=counted.count())
    table = materialise(daily.order_by("customer_id", "date"))
    facts = first_row(
        table.aggregate(
            occasions=table.count(),
            n_customers=table.customer_id.nunique(),
            first_date=table.date.min(),
            last_date=table.date.max(),
        )
    )
    if facts["occasions"] == 0:
        raise DataError(f"{source.name}: no purchase is left, the {rows_read} rows are refunds or were set aside.")
    return TransactionLog(
        table=table,
        ledger=ledger(fates),
        rows_read=rows_read,
        **facts,
        currency=currency,
        source=source.name,
        digest=digest_of_files(source.files) if source.files else _digest_of_values(fates),
        notes=notes(counted, mixed_ids=source.mixed_ids),
    )


def _digest_of_values(lines: Any) -> str:
    """SHA-256 of ids, days and amounts, sorted, so that the order of rows does not matter."""
    names = ["customer_id", "date", "amount"]
    values = lines.select(*names).order_by(*names).to_pyarrow().combine_chunks()
    ids = pc.fill_null(values["customer_id"].cast(pa.large_string()), "")
    digest = hashlib.sha256()
    digest.update(pc.binary_length(ids).to_numpy().astype("<i8").tobytes())
    digest.update("".join(ids.to_pylist()).encode())
    digest.update(values["date"].cast(pa.int32()).to_numpy().astype("<i8").tobytes())
    digest.update(values["amount"].to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()
