"""Tables with a row a customer that are small enough for memory: CSV or Parquet files as they are, or a refusal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clvmodels.data.files import refuse_bomb
from clvmodels.foundation.errors import DataError
from clvmodels.foundation.limits import CELLS, require_within

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

OTHERWISE_PACKED = (".bz2", ".zip", ".xz", ".tar", ".tgz", ".tbz2")  # which pandas would unpack, however large
MISSING = ["", "NA", "N/A", "#N/A", "<NA>", "NaN", "nan", "None", "NULL", "null"]  # in columns that are not text


def read_table(path: str | Path, *, texts: Sequence[str] = ("customer_id",)) -> "pd.DataFrame":
    """The table in a file: Parquet by its ending, else CSV.

    Parameters
    ----------
    texts : columns that a CSV file has as text, so that 007 stays 007 and NA is an id; an empty one is missing

    Raises
    ------
    DataError
        If the file cannot be read, two columns have one name, or a row has more values than the header names.
    """
    import pandas as pd

    path = Path(path)
    _refuse_large(path)
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        # Below a header pandas would take what a row has too much as an index; without one it says where that is.
        names = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False).iloc[0].tolist()
        missing = {name: [""] if name in texts else MISSING for name in names}
        frame = pd.read_csv(path, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=missing)
    except (OSError, ValueError) as problem:  # pandas and pyarrow refuse what is not such a file as ValueErrors
        raise DataError(f"{path} cannot be read as a table of customers: {problem}.") from None
    for name in names:
        if names.count(name) > 1:
            raise DataError(f'{path}: {names.count(name)} columns have the name "{name}". Rename all but one.')
    return frame


def _refuse_large(path: Path) -> None:
    """Refuse a small file of a table that would be large in memory."""
    if not path.is_file():
        raise DataError(f"{path} cannot be read as a table of customers: there is no such file.")
    if path.suffix in OTHERWISE_PACKED:
        raise DataError(f"{path}: unpack it, or pack it as .gz or .zst.")
    if path.suffix != ".parquet":
        refuse_bomb(path)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            facts = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as problem:
            raise DataError(f"{path} cannot be read as a table of customers: {problem}.") from None
        require_within(CELLS, facts.num_rows * facts.num_columns, path)
