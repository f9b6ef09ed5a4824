"""What readers make of a source, before anything is counted."""

import pandas as pd

from clvmodels.data.ids import join_ids
from clvmodels.data.layout import Layout, purchase_columns
from clvmodels.data.sources import open_source, reading
from clvmodels.data.transactions import FAULTS
from clvmodels.data.values import check_values, parsed

HEADER = "customer_id,date,amount\n"


def read(source, *, missing_ids="refuse", **options):
    """Ids, days and amounts of a source in its order; options are fields of a layout."""
    layout = Layout(purchase_columns(), **options)
    opened = open_source(source, layout)
    faults = [fault for fault in FAULTS if missing_ids == "refuse" or fault.role != "customer_id"]
    with reading(opened):
        lines = parsed(opened.rows, layout)  # not kept in the engine, whose tables have no order
        check_values(lines, opened, layout, faults=faults)
        lines, _ = join_ids(lines, opened)
        found = lines.select("customer_id", "date", "amount").to_pyarrow().to_pylist()
    return [tuple(row.values()) for row in found]


def ids(source, **options):
    return [row[0] for row in read(source, **options)]


def days(source, **options):
    return [str(row[1]) for row in read(source, **options)]


def amounts(source, **options):
    return [row[2] for row in read(source, **options)]


def frame(**columns):
    """A pandas frame of purchases with some columns given; the others are filled to their length."""
    size = len(next(iter(columns.values()))) if columns else 3
    plain = {"customer_id": ["a"] * size, "date": ["2024-01-01"] * size, "amount": [1.0] * size}
    return pd.DataFrame(plain | columns)
