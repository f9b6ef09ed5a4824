"""Files of a source: found, told apart by their first bytes, opened and hashed."""

import glob
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from clvmodels.foundation.errors import DataError, LimitError
from clvmodels.foundation.limits import UNPACKED, stated, too_much

TEXT, PARQUET, WORKBOOK = "text", "Parquet", "Excel"
SUFFIXES = {
    ".parquet": PARQUET, ".pq": PARQUET,
    ".xlsx": WORKBOOK, ".xlsm": WORKBOOK, ".xls": WORKBOOK, ".xlsb": WORKBOOK, ".ods": WORKBOOK,
}  # fmt: skip
DATABASES = (".db", ".sqlite", ".sqlite3", ".duckdb", ".ddb")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
LONGEST_LINE = 1 << 24  # bytes, above the 2,000,000 that the engine reads as a row
ALWAYS_UNPACKED = 1_000_000_000  # bytes that any file may unpack to
# What a file that is named like a text is by its first bytes, and what to do with it.
FOREIGN = {
    b"PAR1": 'is a Parquet file: name it "{stem}.parquet".',
    b"PK\x03\x04": 'is a workbook or a zip archive: name it "{stem}.xlsx", or unpack it.',
    b"\xd0\xcf\x11\xe0": 'is an old Excel workbook: name it "{stem}.xls".',
    b"BZh": "is packed by bzip2: unpack it, or pack it as .gz or .zst.",
    b"\xfd7zXZ": "is packed by xz: unpack it, or pack it as .gz or .zst.",
    b"7z\xbc\xaf": "is a 7z archive: unpack it.",
    b"ARROW1": "is an Arrow file: give pyarrow.ipc.open_file(path).read_all().",
    b"SQLite format": 'is a SQLite file: give ibis.sqlite.connect("{path}").table("NAME").',
}  # fmt: skip


def find_files(source: str | Path) -> tuple[tuple[Path, ...], str]:
    """The files of a path, a glob or a folder of Parquet, in name order, and of which kind they all are.

    Raises
    ------
    DataError
        If there is none, one cannot be opened or is empty, or they are of several kinds.
    """
    text = str(source)
    if not text.strip():
        raise DataError(f"source = {text!r}: expected a path, a glob, or a folder of Parquet files.")
    try:
        if Path(text).is_dir():
            return _files_of_folder(Path(text)), PARQUET
        exists = Path(text).exists()
    except OSError:  # such as a name that is too long
        exists = False
    names = [text] if exists else sorted(glob.glob(text, recursive=True))
    if not names:
        what = "no file matches" if glob.has_magic(text) else "there is no such file"
        raise DataError(f"{text}: {what} (seen from {Path.cwd()}).")
    files = tuple(Path(name) for name in names)
    for path in files:
        _check_file(path)
    kinds = sorted({SUFFIXES.get(path.suffix.lower(), TEXT) for path in files})
    if len(kinds) > 1:
        raise DataError(f"{text}: matches both {' and '.join(kinds)} files. Give a glob of one kind.")
    return files, kinds[0]


def as_engines_take(path: Path) -> str:
    """A path as the engine takes it, which would take log[1].csv for a pattern and read log1.csv."""
    return glob.escape(str(path))


def stamps_of(files: Sequence[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of the last change of each file: whoever writes to one changes its stamp."""
    stats = {path: path.stat() for path in files}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


@contextmanager
def unchanged(stamps: Mapping[Path, tuple[int, int]]) -> Iterator[None]:
    """Files that are to be as their stamps tell, before and after what is done with them.

    Raises
    ------
    DataError
        If one has changed or is gone, whatever else went wrong because of it.
    """
    _refuse_changed(stamps)
    try:
        yield
    finally:
        _refuse_changed(stamps)


def head(path: Path, size: int = 16) -> bytes:
    """The first bytes of a file as it lies there.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}).") from None


def unpacked(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked where they are packed by gzip or zstd."""
    start = head(path)
    if start.startswith(GZIP):
        return cast(IO[bytes], gzip.open(path))
    if start.startswith(ZSTD):
        stream: Any = pa.input_stream(str(path), compression="zstd")
        return io.BufferedReader(stream)
    return path.open("rb")


def refuse_bomb(path: Path) -> None:
    """Refuse a text that is packed and unpacks to far more than honest ones do, or whose last line has no end.

    The engine would leave a last line that is longer than its buffers out without a word.

    Raises
    ------
    LimitError
        If it is larger than its limit.
    DataError
        If it cannot be unpacked, or a line is longer than any row.
    """
    if not head(path).startswith((GZIP, ZSTD)):
        _refuse_endless(path, [_tail(path)])
        return
    most = max(ALWAYS_UNPACKED, stated(UNPACKED) * path.stat().st_size)
    _refuse_endless(path, _up_to(most, path))


def _up_to(most: int, path: Path) -> Iterator[bytes]:
    size = 0
    for block in _blocks(path):
        size += len(block)
        if size > most:
            raise LimitError(too_much(path, UNPACKED))
        yield block


def _refuse_endless(path: Path, blocks: Iterable[bytes]) -> None:
    length = 0
    for block in blocks:
        end = max(block.rfind(b"\n", 0, -1), block.rfind(b"\r", 0, -1))
        length = len(block) - end if end >= 0 else length + len(block)
        if length > LONGEST_LINE:
            raise DataError(f"{path}: a line is longer than {LONGEST_LINE:,} bytes, so that it is no table.")


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LONGEST_LINE - 1))
        return file.read()


def _blocks(path: Path) -> Iterator[bytes]:
    """What a file unpacks to, in parts."""
    try:
        with unpacked(path) as stream:
            while block := stream.read(1 << 20):
                yield block
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}). The file may be cut off.") from None


def packed_as_named(path: Path) -> bool:
    """Whether the engine can tell by the name of a file how it is packed."""
    start, suffix = head(path), path.suffix.lower()
    return start.startswith(GZIP) == (suffix == ".gz") and start.startswith(ZSTD) == (suffix == ".zst")


def _refuse_changed(stamps: Mapping[Path, tuple[int, int]]) -> None:
    for path, stamp in stamps.items():
        try:
            same = stamps_of([path])[path] == stamp
        except OSError:
            same = False
        if not same:
            raise DataError(f"{path}: has changed since it was read, or is gone. Read the source again.")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f'{path}: is a folder. Give its files, for example "{path}/*.csv".')
    if not path.is_file():  # to open a pipe would wait for who writes into it
        raise DataError(f"{path}: is no file but a pipe or a device.")
    start = head(path)
    if not start:
        raise DataError(f"{path}: the file is empty.")
    suffix = path.suffix.lower()
    if suffix in DATABASES:
        engine = "sqlite" if start.startswith(b"SQLite format") else "duckdb"
        raise DataError(
            f"{path}: is a data base; give the table in it as an Ibis table: "
            f'ibis.{engine}.connect("{path}").table("NAME").'
        )
    for mark, fix in FOREIGN.items():
        if suffix not in SUFFIXES and start.startswith(mark):
            raise DataError(f"{path}: {fix.format(path=path, stem=path.stem)}")


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    """The Parquet files below a folder, but for those that begin with "_" or "."."""
    if (folder / "_delta_log").is_dir() or list(folder.glob("metadata/*.metadata.json")):
        raise DataError(
            f"{folder}: is a Delta or Iceberg table, whose folder keeps rows that are no longer in it. "
            "Read it with its own library and give the frame."
        )
    below = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in (".parquet", ".pq")]
    files = tuple(sorted(folder / path for path in below if not any(part[0] in "_." for part in path.parts)))
    if not files:
        raise DataError(f'{folder}: is a folder without Parquet files. Give its files, for example "{folder}/*.csv".')
    for path in files:
        _check_file(path)
    return files
