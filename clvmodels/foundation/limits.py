"""How much is read of what others made. A small file can ask for any amount of memory or disk; these say when to stop.

Each limit is far beyond what honest files ask for, and can be raised by a setting of the environment.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from clvmodels.foundation.errors import DataError, FitError, LimitError, StudyError


@dataclass(frozen=True)
class Limit:
    """A limit, as a message says it: "more than `value` `what`"."""

    setting: str
    value: int
    what: str


LIMITS = {
    limit.setting: limit
    for limit in (
        Limit("CLVMODELS_LIMIT_STUDY_FILE", 1_000_000, "bytes of a study file"),
        Limit("CLVMODELS_LIMIT_RESULTS_FILE", 500_000_000, "bytes of results"),
        Limit("CLVMODELS_LIMIT_UNPACKED", 200, "times its size that a packed file may unpack to, beyond 1 GB"),
        Limit("CLVMODELS_LIMIT_COLUMNS", 10_000, "columns of a table"),
        Limit("CLVMODELS_LIMIT_ROWS", 5_000_000_000, "rows of Parquet files"),
        Limit("CLVMODELS_LIMIT_CELLS", 500_000_000, "values of a table that is held in memory"),
        Limit("CLVMODELS_LIMIT_WORKBOOK", 3_000, "megabytes of memory to open a workbook in"),
        Limit("CLVMODELS_LIMIT_DRAWS", 4_000_000_000, "bytes of draws of a saved fit"),
    )
}
STUDY_FILE, RESULTS_FILE, UNPACKED, COLUMNS, ROWS, CELLS, WORKBOOK, DRAWS = LIMITS.values()


def stated(limit: Limit) -> int:
    """A limit as the environment states it, else its own value.

    Raises
    ------
    DataError
        If what is stated is no whole number above 0.
    """
    told = os.environ.get(limit.setting)
    if told is None:
        return limit.value
    if not (told.isascii() and told.isdigit() and int(told) > 0):
        raise DataError(f"{limit.setting} = {told!r}: expected a whole number above 0, of {limit.what}.")
    return int(told)


def too_much(place: object, limit: Limit) -> str:
    """What is said of something beyond a limit."""
    return (
        f"{place}: more than {stated(limit):,} {limit.what}. If the file is to be trusted, set {limit.setting} higher "
        f"in the environment."
    )


def require_within(limit: Limit, seen: int, place: object) -> None:
    """Refuse more than a limit.

    Raises
    ------
    LimitError
        With the limit, and the setting that raises it.
    """
    if seen > stated(limit):
        raise LimitError(too_much(place, limit))


def read_whole(path: Path, limit: Limit, *, error: type[StudyError] | type[FitError] | type[DataError]) -> bytes:
    """The bytes of a file, where they are no more than a limit.

    Raises
    ------
    OSError
        If it cannot be read.
    StudyError
        Or the given error: it is no file but a pipe or a device, or larger.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise error(f"{path}: is no file but a pipe or a device.")
    with path.open("rb") as file:
        beyond = os.fstat(file.fileno()).st_size > stated(limit)
        content = b"" if beyond else file.read(stated(limit) + 1)  # a file may grow meanwhile
    if beyond or len(content) > stated(limit):
        raise error(too_much(path, limit))
    return content
