"""Files that are whole or not there, and text in them that a spreadsheet does not run."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clvmodels.foundation.errors import DataError, FitError, StudyError

# What a spreadsheet takes for the beginning of a formula, also in the wide forms of East Asia; blanks, ends of lines
# and marks that cannot be seen may stand before it.
FORMULA = re.compile(r"[\s\0\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
LONGEST_NAME = 80  # bytes of a file's name that is made of a text: systems take 255 with what comes before and after
NAMES_OF_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@contextmanager
def whole(path: Path, *, error: type[DataError] | type[StudyError] | type[FitError] = StudyError) -> Iterator[Path]:
    """A path to write to, moved to its final name if the block ends well, and removed if not.

    Raises
    ------
    StudyError
        Or the given error, if the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.unlink(missing_ok=True)  # a link that lies there would be written through
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
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def file_name(text: str) -> str:
    """A text as a name that every file system takes and that leads nowhere else; two texts have two names.

    Letters, digits and . _ - stay; where others were, the name is long, or it means something else to a system, the
    first letters of the text's hash are added.
    """
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in text).strip(".")
    short = plain.encode("utf-8", "ignore")[:LONGEST_NAME].decode("utf-8", "ignore")
    if short == text != "" and not NAMES_OF_DEVICES.fullmatch(short):
        return short
    return f"{short}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def digest_of_files(files: Iterable[Path]) -> str:
    """SHA-256 of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
