"""The fate of a row as far as the row alone tells it, and of rows that repeat another.

A fate is "used", or the reason for which a row is set aside.
"""

from typing import Any

import ibis

from clvmodels.data.engines import day
from clvmodels.foundation.counting import CountingRules

USED = "used"
PART = "part_"  # begins the role of a column that tells a part of value


def with_row_fates(lines: Any, rules: CountingRules, currency: str) -> Any:
    """The lines with a column `fate`: the first reason that fits, or "used".

    Parameters
    ----------
    lines : Ibis table with customer_id, date, amount and, where they are read, currency, exclude_0, exclude_1, ...
    currency : that of the log
    """
    reasons = [(lines.customer_id.isnull(), "missing_id")]
    if "currency" in lines.columns:
        reasons.append((other_currency(lines, currency), "other_currency"))
    if rules.first_day is not None:
        reasons.append((lines.date < day(rules.first_day), "before_first_day"))
    if rules.last_day is not None:
        reasons.append((lines.date > day(rules.last_day), "after_last_day"))
    for place, values in enumerate(rules.exclude.values()):
        reasons.append((lines[f"exclude_{place}"].isin(values), "excluded"))
    if rules.zero_amounts == "drop":
        reasons.append((lines.amount == 0, "zero_amount"))
    if rules.refunds == "drop":
        reasons.append((lines.amount < 0, "refund_dropped"))
    return lines.mutate(fate=ibis.cases(*reasons, else_=USED))


def other_currency(lines: Any, currency: str) -> Any:
    """Whether a row is not known to be in the log's currency."""
    return lines.currency.isnull() | (lines.currency.upper() != currency.upper())


def with_duplicates(lines: Any) -> Any:
    """The lines with the fate "duplicate" for each that repeats another in every column that tells what a row is.

    Columns of the parts of value tell more of a row, not what it is: a log is the same with them and without.
    """
    read = [name for name in lines.columns if name != "fate" and not name.startswith(PART)]
    place = ibis.row_number().over(ibis.window(group_by=read, order_by="customer_id"))
    return lines.mutate(fate=(place == 0).ifelse(lines.fate, "duplicate"))
