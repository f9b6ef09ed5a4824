"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clvmodels.foundation.errors import DataError, StudyError


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
