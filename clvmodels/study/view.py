"""A study as one unit of work sees it: the settings that its key holds, and no others.

A unit that read a setting which its key does not hold would be taken from the store when that setting has changed: a
silent wrong number. So it cannot read one.
"""

import types
from collections.abc import Iterable
from typing import Any, cast

import msgspec


class UndeclaredSetting(Exception):  # noqa: N818 - a mistake in the code, not of a user
    """A unit has asked for a setting that its key does not hold."""


def settings_at(study: Any, paths: Iterable[str]) -> dict[str, Any]:
    """The settings at some paths, such as "value.margin", as plain values."""
    return {path: msgspec.to_builtins(_at(study, path)) for path in paths}


def only[T](study: T, paths: Iterable[str]) -> T:
    """The study, of which nothing but the settings at some paths can be read; its own methods work on these."""
    return cast(T, _View(study, frozenset(paths), ""))


def _at(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = None if record is None else record[name] if isinstance(record, dict) else getattr(record, name)
    return record


class _View:
    """A table of a study with some of its settings; of a table by keys, with those of some keys."""

    __slots__ = ("_paths", "_place", "_record")

    def __init__(self, record: Any, paths: frozenset[str], place: str) -> None:
        self._record = record
        self._paths = paths
        self._place = place

    def __getattr__(self, name: str) -> Any:
        kind = type(self._record)
        if name in kind.__struct_fields__:
            return self._inside(name, getattr(self._record, name))
        member: Any = getattr(kind, name)
        return member.__get__(self) if isinstance(member, property) else types.MethodType(member, self)

    def __getitem__(self, key: str) -> Any:
        return self._inside(key, self._record[key])

    def _inside(self, name: str, value: Any) -> Any:
        if name in self._paths:
            return value
        inner = frozenset(path.removeprefix(f"{name}.") for path in self._paths if path.startswith(f"{name}."))
        if not inner:
            raise UndeclaredSetting(f"{self._place}{name}")
        return None if value is None else _View(value, inner, f"{self._place}{name}.")
