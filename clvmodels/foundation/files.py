"""Files that are whole or not there, and text in them that a spreadsheet does not run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clvmodels.foundation.errors import DataError, StudyError

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


@contextmanager
def whole(path: Path, *, error: type[DataError] | type[StudyError] = StudyError) -> Iterator[Path]:
    """A path to write to, moved to its final name if the block ends well, and removed if not.

    Raises
    ------
    StudyError
        Or the given error, if the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())  # else a power cut can leave the name without the content
        partial.replace(path)
    except OSError as problem:
        raise error(f"{path} could not be written ({problem.strerror or problem}).") from problem
    finally:
        partial.unlink(missing_ok=True)


def not_a_formula(value: Any) -> Any:
    """The value for a cell of a CSV file: text that a spreadsheet would run as a formula gets a quote before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value
