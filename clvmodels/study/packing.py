"""Values of units of work on disk: records, arrays, tables and fits, as JSON, npy, Parquet and netCDF; never code.

A record of this package is written as its name and its fields, and made again by its constructor. What a record works
out when it is asked (a `replay`, a cached property) is no part of it.
"""

import dataclasses
import datetime as dt
import functools
import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import xarray as xr

from clvmodels.inference import Fit, load_fit
from clvmodels.study.store import Codec

VALUE = "value.json"
TAG = "$"
PACKAGE = "clvmodels."
PLAIN = (bool, int, str, type(None))


class NoNumber(ArithmeticError):  # noqa: N818 - a result that went wrong, not an error of a user
    """A section has a number that is none: it would be a silent gap in a page."""


def packed() -> Codec[Any]:
    """A codec for whatever units of a study make.

    Raises
    ------
    TypeError
        When writing, if a value holds something that is not data, such as a function: a mistake of the caller.
    NoNumber
        When writing, if a number of a section is not one.
    """
    return Codec(_write, _read)


def _write(value: Any, folder: Path) -> None:
    (folder / VALUE).write_bytes(msgspec.json.encode(_Packing(folder).pack(value, "value")))


def _read(folder: Path) -> Any:
    return _Unpacking(folder).unpack(msgspec.json.decode((folder / VALUE).read_bytes()))


@dataclasses.dataclass
class _Packing:
    """A value while it is written; `count` numbers its files."""

    folder: Path
    count: int = 0

    def pack(self, value: Any, place: str) -> Any:
        """The value as JSON takes it; what it cannot hold goes into files beside, of which it has the names."""
        if isinstance(value, float) and not isinstance(value, np.generic):
            return value if math.isfinite(value) else {TAG: "float", "as": str(value)}
        if isinstance(value, PLAIN):
            return value
        return self._packer(value, place)(value, place)

    def _packer(self, value: Any, place: str) -> Callable[[Any, str], Any]:
        for kind, packer in (
            (Fit, self._fit),
            (pd.DataFrame, self._frame),
            (xr.DataArray, self._named),
            (np.ndarray, self._array),
            (np.generic, self._scalar),
            (list, self._list),
            (tuple, self._tuple),
            (Mapping, self._mapping),
            (dt.date, self._date),
            (msgspec.Struct, self._record),
        ):
            if isinstance(value, kind):
                return packer
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._record
        raise TypeError(f"{place} is a {type(value).__name__}, which is no data to be kept")

    def _new(self, suffix: str) -> Path:
        self.count += 1
        return self.folder / f"{self.count}{suffix}"

    def _fit(self, value: Fit, _place: str) -> Any:
        path = self._new(".nc")
        value.save(path)
        return {TAG: "fit", "at": path.name}

    def _frame(self, value: pd.DataFrame, _place: str) -> Any:
        path = self._new(".parquet")
        value.to_parquet(path)
        return {TAG: "frame", "at": path.name}

    def _named(self, value: xr.DataArray, place: str) -> Any:
        of = {
            "dims": list(value.dims),
            "values": self._array(value.values, place),
            "coords": {str(name): self._array(coord.values, place) for name, coord in value.coords.items()},
        }
        return {TAG: "named", **of}

    def _array(self, value: np.ndarray, place: str) -> Any:
        if value.dtype == object:
            return {TAG: "objects", "of": [self.pack(each, place) for each in value.ravel()], "shape": value.shape}
        if isinstance(value.dtype, np.dtypes.StringDType):
            return {TAG: "strings", "of": value.ravel().tolist(), "shape": value.shape}
        path = self._new(".npy")
        np.save(path, value, allow_pickle=False)
        return {TAG: "array", "at": path.name}

    def _scalar(self, value: np.generic, place: str) -> Any:
        if isinstance(value, np.str_ | np.float64):  # Python's own as well
            return self.pack(value.item(), place)
        return {TAG: "scalar", "as": self._array(np.asarray(value), place)}

    def _list(self, value: list[Any], place: str) -> Any:
        return [self.pack(each, f"{place}[{i}]") for i, each in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], place: str) -> Any:
        return {TAG: "tuple", "of": self._list(list(value), place)}

    def _mapping(self, value: Mapping[Any, Any], place: str) -> Any:
        pairs = [[self.pack(key, place), self.pack(each, f"{place}[{key!r}]")] for key, each in value.items()]
        return {TAG: "mapping", "of": pairs}

    def _date(self, value: dt.date, _place: str) -> Any:
        return {TAG: "moment" if isinstance(value, dt.datetime) else "date", "as": value.isoformat()}

    def _record(self, value: Any, place: str) -> Any:
        kind = type(value)
        fields = {name: getattr(value, name) for name in _fields(kind)}
        if kind.__module__.endswith("results"):  # of a section: a number of a page
            _refuse_no_number(fields, place)
        of = {name: self.pack(each, f"{place}.{name}") for name, each in fields.items()}
        return {TAG: "record", "kind": f"{kind.__module__}:{kind.__qualname__}", "of": of}


def _refuse_no_number(fields: Mapping[str, Any], place: str) -> None:
    for name, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise NoNumber(f"{place}.{name} is {value}, which is no number that a page can show")


def _fields(kind: Any) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


@dataclasses.dataclass(frozen=True)
class _Unpacking:
    """A value while it is read."""

    folder: Path

    def unpack(self, value: Any) -> Any:
        """What `_Packing.pack` has written."""
        if isinstance(value, list):
            return [self.unpack(each) for each in value]
        if not isinstance(value, dict):
            return value
        return getattr(self, f"_{value[TAG]}")(value)

    def _float(self, value: dict[str, Any]) -> float:
        return float(value["as"])

    def _fit(self, value: dict[str, Any]) -> Fit:
        return load_fit(self.folder / value["at"])

    def _frame(self, value: dict[str, Any]) -> pd.DataFrame:
        return pd.read_parquet(self.folder / value["at"])

    def _named(self, value: dict[str, Any]) -> xr.DataArray:
        coords = {name: self.unpack(coord) for name, coord in value["coords"].items()}
        return xr.DataArray(self.unpack(value["values"]), dims=value["dims"], coords=coords)

    def _array(self, value: dict[str, Any]) -> Any:
        return np.load(self.folder / value["at"], allow_pickle=False)

    def _objects(self, value: dict[str, Any]) -> Any:
        found = np.empty(len(value["of"]), dtype=object)
        found[:] = [self.unpack(each) for each in value["of"]]
        return found.reshape(value["shape"])

    def _strings(self, value: dict[str, Any]) -> Any:
        return np.array(value["of"], dtype=np.dtypes.StringDType()).reshape(value["shape"])

    def _scalar(self, value: dict[str, Any]) -> Any:
        return self._array(value["as"])[()]

    def _tuple(self, value: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.unpack(value["of"]))

    def _mapping(self, value: dict[str, Any]) -> dict[Any, Any]:
        return {self.unpack(key): self.unpack(each) for key, each in value["of"]}

    def _date(self, value: dict[str, Any]) -> dt.date:
        return dt.date.fromisoformat(value["as"])

    def _moment(self, value: dict[str, Any]) -> dt.datetime:
        return dt.datetime.fromisoformat(value["as"])

    def _record(self, value: dict[str, Any]) -> Any:
        fields = {name: self.unpack(each) for name, each in value["of"].items()}
        return _record_type(value["kind"])(**fields)


@functools.cache
def _record_type(named: str) -> type:
    """A record of this package by its name; nothing else is ever made from a file."""
    module, _, name = named.partition(":")
    kind = getattr(importlib.import_module(module), name) if module.startswith(PACKAGE) else None
    if not (isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct))):
        raise TypeError(f"{named} is no record of {PACKAGE[:-1]}")
    return kind
