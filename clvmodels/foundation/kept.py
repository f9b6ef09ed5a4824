"""The record of a summary that is kept in a folder and continued from file to file."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from clvmodels.foundation.counting import CountingRules
from clvmodels.foundation.records import LedgerLine


@dataclass(frozen=True)
class KeptPart:
    """A log that has been counted.

    Attributes
    ----------
    source, digest, rows_read : of the log
    until : last day counted with it
    last_date : day of the last purchase so far
    """

    source: str
    digest: str
    rows_read: int
    until: dt.date
    last_date: dt.date


@dataclass(frozen=True)
class KeptSummary:
    """What a folder of kept states of customers holds, and what became of each row that went into them.

    Attributes
    ----------
    until : last day that is counted: rows of later days alone continue it
    first_date, last_date : days of the first and the last purchase
    occasions, n_customers : purchases, and customers with one
    currency, rules : of every part; `last_day` is its own
    logarithms : whether sums of logarithms are kept
    current_days : length of time that the current value can be worked out of, days
    rows_read, gross, ledger : of all parts together
    parts : the logs that were counted, in order
    digests : SHA-256 of each file, by name
    """

    until: dt.date
    first_date: dt.date
    last_date: dt.date
    occasions: int
    n_customers: int
    currency: str
    rules: CountingRules
    logarithms: bool
    current_days: int
    rows_read: int
    gross: float
    ledger: tuple[LedgerLine, ...]
    parts: tuple[KeptPart, ...]
    digests: Mapping[str, str]
