"""What a study keeps of who its customers are: their ids, pseudonyms, or nobody by name.

Ids are replaced where they are read, so that nothing after it, and nothing that is written or said, has them.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from clvmodels.data import read_transactions
from clvmodels.data.pseudonyms import Pseudonyms, withheld
from clvmodels.foundation.errors import DataError, StudyError
from clvmodels.foundation.records import LedgerLine, TransactionLog
from clvmodels.foundation.results import StudyResults
from clvmodels.study.config import Study
from clvmodels.study.current import KEY, KEY_FILE
from clvmodels.study.customers import read_traits

LARGEST_KEY = 4096  # bytes of a file with a key
# Where no customer is to be seen no name is written down, so that this key need be no secret: it keeps ids out of what
# a run keeps on its way, and out of messages.
UNSEEN = b"clvmodels: names that no reader sees, in a study without customers"
OF_CUSTOMERS = ("customers.csv", "customers.parquet", "holdout.csv", "holdout.parquet")  # tables with a row a customer
SAID = ("last_period_cut", "exclude_unseen")  # notes whose examples are of the study file and the calendar


def pseudonyms_for(privacy: str, path: Path) -> Pseudonyms | None:
    """What customers of a study are named by; None where their own ids may be seen.

    Raises
    ------
    StudyError
        If the study is pseudonymous and there is no key, or none that can be used. The key is in no message.
    """
    if privacy == "open":
        return None
    if privacy == "without":
        return Pseudonyms(UNSEEN)
    place = f'{path}, privacy = "pseudonymous"'
    try:
        return Pseudonyms(_key(place))
    except DataError as problem:
        raise StudyError(f"{place}: {problem}") from None


def _key(place: str) -> bytes:
    """The secret that the environment has, or the file that it names."""
    told, named = os.environ.get(KEY, ""), os.environ.get(KEY_FILE, "")
    if bool(told) == bool(named):
        raise StudyError(
            f"{place}: {'both' if told else 'neither'} of {KEY} and {KEY_FILE} {'are' if told else 'is'} set. Set one: "
            "to a secret of at least 32 letters, or to the path of a file that has it. `openssl rand -hex 32` makes "
            "one. Keep it apart from the reports: whoever has it can tell whose row is whose."
        )
    if told:
        return os.fsencode(told).strip()
    try:
        with Path(named).open("rb") as file:
            return file.read(LARGEST_KEY).strip()
    except OSError as problem:
        raise StudyError(f"{place}: {KEY_FILE} cannot be read ({problem.strerror}).") from None


def read_log(study: Study, path: Path) -> TransactionLog:
    """The log by the names that the study's privacy leaves to customers.

    Parameters
    ----------
    path : of the study file, for messages

    Raises
    ------
    StudyError, DataError
        If it cannot be read, or there is no key for pseudonyms.
    """
    pseudonyms = pseudonyms_for(study.privacy, path)
    key = None if pseudonyms is None else pseudonyms.key
    return read_transactions(study.data.source, pseudonym_key=key, **study.data.options)


def read_named_traits(study: Study, path: Path) -> pd.DataFrame | None:
    """What the customers' file tells, by the same names; None where the study has no such file.

    Raises
    ------
    StudyError, DataError
        If it cannot be read, or there is no key for pseudonyms.
    """
    table, pseudonyms = study.customers, pseudonyms_for(study.privacy, path)
    with withheld("" if table is None else table.source, pseudonyms):
        return named_by(pseudonyms, read_traits(table, path))


def named_by(pseudonyms: Pseudonyms | None, traits: pd.DataFrame | None) -> pd.DataFrame | None:
    """A table by customer id, by pseudonyms instead and in their order; as it is where there are none."""
    if pseudonyms is None or traits is None:
        return traits
    return traits.rename(index=pseudonyms.of).sort_index()


def key_mark(privacy: str, path: Path) -> dict[str, str]:
    """For a manifest or the key of a unit: what tells a study's privacy, and whether two runs had one key."""
    pseudonyms = pseudonyms_for(privacy, path)
    mark = {} if privacy != "pseudonymous" or pseudonyms is None else {"pseudonym_key": pseudonyms.mark}
    return {"privacy": privacy, **mark}


def fit_to_show(results: StudyResults) -> StudyResults:
    """The results as the study's privacy lets them be seen: without customers nothing is told of a single one."""
    if results.study.privacy != "without":
        return results
    data = results.data
    unnamed = replace(
        data,
        ledger=without_examples(data.ledger),
        set_aside=without_examples(data.set_aside),
        notes=without_examples(data.notes),
    )
    return replace(results, act_on=[], data=unnamed)


def without_examples(lines: Iterable[LedgerLine]) -> list[LedgerLine]:
    """Lines of a ledger without the rows and ids that they show."""
    return [line if line.reason in SAID else replace(line, sample=()) for line in lines]


def tables_to_show(privacy: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables by file name, those with a row a customer left out where nobody is to be seen."""
    hidden = OF_CUSTOMERS if privacy == "without" else ()
    return {name: table for name, table in tables.items() if name not in hidden}
