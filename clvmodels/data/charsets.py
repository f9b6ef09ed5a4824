"""Encodings of text files: which fit all bytes of a file, and copies in UTF-8 for the engine."""

import codecs
import io
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from clvmodels.data.files import unpacked
from clvmodels.foundation.errors import DataError

BLOCK = 1 << 20
COMMON = ("utf-8", "utf-16", "gb18030", "cp1252", "latin-1")  # to name where one does not fit; latin-1 fits all


def python_name(encoding: str) -> str:
    """The codec to read with: a byte order mark is no part of a UTF-8 text."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def open_text(path: Path, encoding: str) -> IO[str]:
    """A text file, unpacked, with its line ends as they are."""
    return io.TextIOWrapper(unpacked(path), encoding=python_name(encoding), newline="")


def fitting(path: Path, encodings: Sequence[str]) -> str:
    """The first of several encodings that fits all bytes of a file.

    Raises
    ------
    DataError
        If none does; it names common ones that do.
    """
    for encoding in encodings:
        if _misfit(path, encoding) is None:
            return encoding
    raise no_fit(path, encodings)


def no_fit(path: Path, encodings: Sequence[str]) -> DataError:
    """Says where a file does not fit, and which common encodings do."""
    tried = " or ".join(f'"{encoding}"' for encoding in encodings)
    places = [place for encoding in encodings if (place := _misfit(path, encoding)) is not None]
    fit = [encoding for encoding in COMMON if encoding not in encodings and _misfit(path, encoding) is None]
    if any(encoding.startswith("utf") for encoding in fit):  # text by chance fits no UTF
        fit = fit[:1]
    also = f" Its bytes fit encoding={' or '.join(f'"{encoding}"' for encoding in fit)}." if fit else ""
    return DataError(f"{path}: is not text in encoding={tried} (first: line {max(places, default=1)}).{also}")


def _misfit(path: Path, encoding: str) -> int | None:
    """The first line that an encoding does not fit, or None."""
    lines = 1
    decoder = codecs.getincrementaldecoder(python_name(encoding))()
    with unpacked(path) as stream:
        while block := stream.read(BLOCK):
            try:
                text = decoder.decode(block)
            except UnicodeError as error:
                return lines + block[: getattr(error, "start", 0)].count(b"\n")
            if "\0" in text:  # bytes of UTF-16 read as something else
                return lines + text[: text.index("\0")].count("\n")
            lines += text.count("\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeError:
        return lines
    return None


class Copies:
    """Copies of files in plain UTF-8, kept until nothing refers to this or to a table that reads them."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._made = 0

    def of(self, path: Path, encoding: str) -> Path:
        """A copy of a file in UTF-8, unpacked, each line ended alike.

        Raises
        ------
        DataError
            If the encoding does not fit.
        """
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="clvmodels-text-")
            weakref.finalize(self, _remove, self._folder)
        self._made += 1
        copy = Path(self._folder, f"{self._made}.csv")
        try:
            with open_text(path, encoding) as stream, copy.open("w", encoding="utf-8", newline="") as out:
                for block in _blocks(stream):
                    out.write(block)
        except UnicodeError:
            raise no_fit(path, (encoding,)) from None
        return copy

    def keep_for(self, table: Any) -> None:
        """Keeps the copies as long as an Ibis table, or what is derived from it, may read them."""
        weakref.finalize(table.op(), self._let_go)

    def _let_go(self) -> None:
        """Ends what `keep_for` began: the finalizer referred to this object until now."""


def _blocks(stream: IO[str]) -> Iterator[str]:
    held = ""
    while block := stream.read(BLOCK):
        text = held + block
        held = "\r" if text.endswith("\r") else ""  # the other half of a line end may follow
        yield text.removesuffix(held).replace("\r\n", "\n") if held else text.replace("\r\n", "\n")
    yield held


def _remove(folder: str) -> None:
    for entry in os.scandir(folder):
        Path(entry.path).unlink(missing_ok=True)
    Path(folder).rmdir()


def line_ends(stream: Any) -> tuple[str, ...]:
    """The line ends that a text stream has met so far."""
    met = stream.newlines
    return () if met is None else (met,) if isinstance(met, str) else tuple(met)
