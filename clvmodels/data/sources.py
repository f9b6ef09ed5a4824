"""Sources: files, frames and engine tables, each as the raw columns that are wanted, named by their roles."""

import csv
import difflib
import glob
import gzip
import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from clvmodels.data.engines import ENGINES, duckdb, engine_of, in_duckdb, refusals
from clvmodels.data.layout import Layout
from clvmodels.foundation.errors import DataError

PARQUET = (".parquet", ".pq")
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Source:
    """What was given, before any value is read.

    Attributes
    ----------
    name : for a reader
    rows : Ibis table with a column a role (customer_id, date, ...) in the source's own types and order
    files : the files in name order; none for a frame
    locate : position of a row (from 0) to its place as a reader counts it
    mixed_ids : rows whose id is a number in a column of texts and reads as one of these texts
    in_place : whether the engine can read the rows again at little cost
    """

    name: str
    rows: Any
    files: tuple[Path, ...]
    locate: Callable[[int], str]
    mixed_ids: int = 0
    in_place: bool = False


def open_source(source: Any, layout: Layout) -> Source:
    """The wanted columns of a path, a glob, a frame or an Ibis table.

    Raises
    ------
    DataError
        If the source or one of its columns is not there or cannot be read.
    """
    if isinstance(source, (str, Path)):
        return _open_files(source, layout)
    if type(source).__module__.startswith("pyspark.sql."):
        from clvmodels.data.spark import table_of_frame

        return _open_table(table_of_frame(source), layout)
    if isinstance(source, ibis.Table) and source.get_backend().name in ENGINES:
        return _open_table(source, layout)
    if isinstance(source, ibis.Table):
        _positions(list(source.columns), layout, "the table")
        names = dict.fromkeys(column.name for column in layout.wanted)
        return _open_frame(source.select(*names).to_pyarrow(), layout, "Ibis table")
    if isinstance(source, pa.Table) or any(kind.__name__ == "DataFrame" for kind in type(source).__mro__):
        return _open_frame(source, layout, f"{type(source).__module__.split('.')[0]} frame")
    raise DataError(
        f"source of type {type(source).__name__}: expected a path or glob of CSV or Parquet files, "
        '"dataset:NAME", a pandas, polars or pyarrow frame, or an Ibis table.'
    )


def digest_of_files(files: Sequence[Path]) -> str:
    """SHA-256 of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _positions(names: list[str], layout: Layout, where: str) -> dict[str, int]:
    """The place of each role's column among a source's columns."""
    found = {}
    for column in layout.wanted:
        name = column.name
        if names.count(name) > 1:
            raise DataError(f'{where}: {names.count(name)} columns have the name "{name}". Rename all but one.')
        if name not in names:
            close = difflib.get_close_matches(name.lower(), [known.lower() for known in names], 1, 0.5)
            meant = (f' Did you mean {column.option}="{known}"?' for known in names if known.lower() in close)
            has = ", ".join(names)
            raise DataError(f'{where}: no column "{name}" ({column.option}=); it has: {has}.{next(meant, "")}')
        found[column.role] = names.index(name)
    return found


# --- files ---


def _open_files(source: str | Path, layout: Layout) -> Source:
    files = _files(source)
    read = _parquet if files[0].suffix.lower() in PARQUET else _text
    lines = _row_numbers if read is _parquet else _record_lines

    def locate(position: int) -> str:
        places = (f"{path.name}, {place}" for path in files for place in lines(path, layout))
        return next(itertools.islice(places, position, None))

    with refusals(str(source)):
        return Source(str(source), read(files, layout), files, locate, in_place=read is _parquet)


def _files(source: str | Path) -> tuple[Path, ...]:
    """The files of a path or a glob, in name order; each is there, readable and not empty."""
    text = str(source)
    names = [text] if Path(text).exists() else sorted(glob.glob(text, recursive=True))
    if not names:
        what = "no file matches" if glob.has_magic(text) else "there is no such file"
        raise DataError(f"{text}: {what} (seen from {Path.cwd()}).")
    files = tuple(Path(name) for name in names)
    for path in files:
        if path.is_dir():
            raise DataError(f'{path}: is a folder. Give its files, for example "{path}/*.csv".')
        try:
            with path.open("rb") as stream:
                empty = not stream.read(1)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened ({error.strerror}).") from None
        if empty:
            raise DataError(f"{path}: the file is empty.")
    if len({path.suffix.lower() in PARQUET for path in files}) > 1:
        raise DataError(f"{text}: matches both Parquet and text files. Give a glob of one kind.")
    return files


def _parquet(files: Sequence[Path], layout: Layout) -> Any:
    table = duckdb().read_parquet([str(path) for path in files])
    _positions(list(table.columns), layout, str(files[0]))
    return table.select(**{column.role: table[column.name] for column in layout.wanted})


def _row_numbers(path: Path, layout: Layout) -> Iterator[str]:
    rows = int(_parquet((path,), layout).count().to_pyarrow().as_py())
    return (f"row {row}" for row in range(1, rows + 1))


def _record_lines(path: Path, layout: Layout) -> Iterator[str]:
    """The line of the file on which each row ends; empty lines are no rows."""
    delimiter = _delimiter(_first_line(path, layout), layout)
    with _open_text(path, layout) as stream:
        if delimiter == " ":
            lines = (number for number, line in enumerate(stream, start=1) if line.strip())
        else:
            reader = csv.reader(stream, delimiter=delimiter)
            lines = (reader.line_num for record in reader if record)
        yield from (f"line {line}" for line in itertools.islice(lines, int(layout.columns is None), None))


def _text(files: Sequence[Path], layout: Layout) -> Any:
    """Text files, every column as text: leading zeros of ids stay."""
    header = _first_line(files[0], layout)
    delimiter = _delimiter(header, layout)
    for path in files[1:]:
        if layout.columns is None and _first_line(path, layout) != header:
            raise DataError(f"{path}: its header differs from that of {files[0]}. Read such files one by one.")
    if layout.columns is not None:
        names = list(layout.columns)
    elif delimiter == " ":
        names = header.split()
    else:
        names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter))]
    places = _positions(names, layout, str(files[0]))
    if delimiter == " ":
        return _blank_separated(files, layout, places)
    return _delimited(files, layout, places, delimiter=delimiter, width=len(names))


def _delimiter(header: str, layout: Layout) -> str:
    return layout.delimiter or max(DELIMITERS, key=header.count)


def _open_text(path: Path, layout: Layout) -> IO[str]:
    encoding = "utf-8-sig" if layout.encoding.lower() in ("utf-8", "utf8") else layout.encoding
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _first_line(path: Path, layout: Layout) -> str:
    try:
        with _open_text(path, layout) as stream:
            return stream.readline().rstrip("\r\n")
    except (UnicodeError, OSError, LookupError) as error:
        raise DataError(f'{path}: is not text in encoding="{layout.encoding}" ({error}).') from None


def _delimited(files: Sequence[Path], layout: Layout, places: Mapping[str, int], *, delimiter: str, width: int) -> Any:
    table = duckdb().read_csv(
        [str(path) for path in files],
        columns={f"column_{place}": "string" for place in range(width)},
        header=layout.columns is None,
        delim=delimiter,
        quote='"',
        escape='"',
        encoding=layout.encoding,
        auto_detect=False,
    )
    return table.select(**{role: table[f"column_{place}"] for role, place in places.items()})


def _blank_separated(files: Sequence[Path], layout: Layout, places: Mapping[str, int]) -> Any:
    """Columns set apart by runs of blanks: the engine reads whole lines, which are split here."""
    table = duckdb().read_csv(
        [str(path) for path in files],
        columns={"line": "string"},
        header=False,
        skip=int(layout.columns is None),
        delim="\x1f",
        quote="",
        escape="",
        encoding=layout.encoding,
        auto_detect=False,
    )
    table = table.mutate(line=table.line.strip())
    table = table.filter(table.line != "")
    parts = table.line.re_split(r"\s+")
    return table.select(**{role: parts[place] for role, place in places.items()})


# --- tables of an engine that logs are worked out in ---


def _open_table(table: Any, layout: Layout) -> Source:
    """The table as it is, in its own engine."""
    _positions(list(table.columns), layout, "the table")
    engine_of(table).check_layout(layout)
    rows = table.select(**{column.role: table[column.name] for column in layout.wanted})
    return Source(f"{table.get_backend().name} table", rows, (), lambda _: "some row", in_place=True)


# --- frames ---


def _open_frame(frame: Any, layout: Layout, name: str) -> Source:
    names = [str(column) for column in (frame.column_names if isinstance(frame, pa.Table) else frame.columns)]
    _positions(names, layout, f"the {name}")
    customer = layout.column("customer_id").name
    ids, mixed = _one_kind_of_id(frame[customer], customer)
    columns = {
        column.role: _arrow(ids if column.kind == "id" else frame[column.name], column.name) for column in layout.wanted
    }
    return Source(name, in_duckdb(pa.table(columns)), (), lambda position: f"row {position}", mixed)


def _arrow(column: Any, name: str) -> Any:
    """A column of any frame in Arrow; moments in a time zone become the local ones that the frame shows."""
    try:
        if hasattr(column, "to_arrow"):  # polars
            column = column.to_arrow()
        elif not isinstance(column, pa.ChunkedArray):
            column = pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f'column "{name}" holds values of several kinds ({error}). Convert it to one kind.') from None
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = pc.local_timestamp(column)
    return column.cast(pa.string()) if column.null_count == len(column) else column  # nothing tells its kind


def _one_kind_of_id(ids: Any, name: str) -> tuple[Any, int]:
    """Ids of a pandas column that mixes texts and numbers, all as text, and how many numbers there were.

    A number that reads like one of the texts is that customer; a number that does not cannot be
    told from a customer of its own, and is refused.
    """
    if str(getattr(ids, "dtype", "")) != "object":
        return ids, 0
    present = ~ids.isna()
    texts = present & ids.map(lambda value: isinstance(value, str))
    if not texts.any() or texts.sum() == present.sum():
        return ids, 0
    numbers = present & ~texts
    written = ids.where(present, None).map(_plain, na_action="ignore")
    alone = (numbers & ~written.isin(written[texts])).to_numpy()
    if alone.any():
        first = int(alone.argmax())
        raise DataError(
            f'column "{name}" mixes texts and numbers, and {int(alone.sum())} numbers are none of the texts '
            f"(first: row {first}, {ids.iloc[first]!r}). Convert the column to text first."
        )
    warnings.warn(
        f'column "{name}": {int(numbers.sum())} ids are numbers that read like a text id; joined.',
        stacklevel=4,
    )
    return written, int(numbers.sum())


def _plain(value: Any) -> str:
    """An id as text; 17850.0 reads 17850."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
