"""What counts in a purchase log: each choice that a log leaves open, by name, with a sensible default."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from clvmodels.foundation.errors import DataError

WORDS = {
    "refunds": ("net", "match", "drop", "keep"),
    "zero_amounts": ("keep", "drop"),
    "missing_ids": ("refuse", "drop"),
    "duplicates": ("keep", "drop"),
    "first_refunds": ("keep", "drop"),
    "other_currencies": ("refuse", "drop"),
}


@dataclass(frozen=True)
class CountingRules:
    """What becomes of the rows of a log that are not plainly purchases.

    Attributes
    ----------
    refunds : what an amount below 0 is. "net": summed within the customer's day; a day that has a refund and
        does not come to more than 0 is no purchase. "match": cancels the customer's latest earlier purchase of
        the same amount (of the same order, where the column is named), or one of that day. "drop": set aside.
        "keep": an amount like any other.
    zero_amounts : "keep" counts a row at 0 as a purchase, "drop" sets it aside
    missing_ids : "refuse" or "drop" rows without a customer
    duplicates : "keep" rows that repeat another in every column that is read, or "drop" all but one of them
    first_refunds : "keep" customers whose first day has refunds alone, or "drop" them: they are older than the log
    other_currencies : "refuse" or "drop" rows whose currency is another than the log's
    first_day, last_day : days that the log is complete for, or None; rows before and after are set aside
    exclude : values by column that mark rows as no purchase, such as {"stock_code": ("POST", "BANK CHARGES")}
    """

    refunds: str = "net"
    zero_amounts: str = "keep"
    missing_ids: str = "refuse"
    duplicates: str = "keep"
    first_refunds: str = "keep"
    other_currencies: str = "refuse"
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for option, words in WORDS.items():
            word = getattr(self, option)
            if word not in words:
                expected = ", ".join(f'"{known}"' for known in words)
                raise DataError(f'{option} = "{word}": expected one of {expected}.')
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise DataError(f"last_day {self.last_day} is before first_day {self.first_day}.")
        for name, values in self.exclude.items():
            if not values:
                raise DataError(f'exclude = {{"{name}": {values!r}}}: expected a list of values, at least one.')
