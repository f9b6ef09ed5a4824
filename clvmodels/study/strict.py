"""Strict reading of a study file: an unknown key or word is refused, with its place, before any data are."""

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.files import NAMES_OF_DEVICES
from clvmodels.foundation.limits import STUDY_FILE, read_whole


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a study file."""


class LimitsTable(Table, frozen=True):
    """[limits]: the longest that a unit of the study's work may take. No number depends on it."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] = 14_400.0


@dataclass(frozen=True)
class TomlFile:
    """A file's content as tables, its place, and the SHA-256 of its bytes."""

    path: Path
    content: dict[str, Any]
    digest: str


def read_toml(path: Path) -> TomlFile:
    """The tables of a file.

    Raises
    ------
    StudyError
        If the file is missing or not TOML.
    """
    try:
        raw = read_whole(path, STUDY_FILE, error=StudyError)
    except OSError as problem:
        raise StudyError(f"{path}: cannot read the study file ({problem.strerror}).") from None
    try:
        content = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise StudyError(f"{path} is not TOML: {problem}.") from None
    except RecursionError:
        raise StudyError(f"{path}: tables and lists lie too deep in each other for a study.") from None
    return TomlFile(path, content, hashlib.sha256(raw).hexdigest())


def converted[Struct: Table](toml: TomlFile, struct: type[Struct]) -> Struct:
    """The tables as a record.

    Raises
    ------
    StudyError
        If a key or a word is not known, or a key is missing; with its place.
    """
    try:
        _refuse_not_finite(toml)
        return msgspec.convert(toml.content, struct)
    except RecursionError:
        raise StudyError(f"{toml.path}: tables and lists lie too deep in each other for a study.") from None
    except msgspec.ValidationError as problem:
        raise StudyError(_explain(struct, toml, str(problem))) from None


def _refuse_not_finite(toml: TomlFile) -> None:
    """Refuse nan and inf, which TOML has and no setting of a study means."""

    def look(content: Any, keys: list[str]) -> None:
        if isinstance(content, dict):
            for key, value in content.items():
                look(value, [*keys, key])
        elif isinstance(content, list):
            for value in content:
                look(value, keys)
        elif isinstance(content, float) and not math.isfinite(content):
            raise StudyError(f"{toml.path}{_table(keys[:-1])} {keys[-1]} = {content}: expected a finite number.")

    look(toml.content, [])


def refuse_nameless(path: Path, name: str, title: Mapping[str, str], languages: Sequence[str]) -> None:
    """Refuse a name that no folder can have, and a language without a title."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name) or NAMES_OF_DEVICES.fullmatch(name):
        raise StudyError(
            f"{path}, name = {name!r}: expected letters, digits, - and _ (and no device such as CON), since "
            "reports/<name> is named so."
        )
    if not languages:
        raise StudyError(f'{path}, languages = []: expected at least one of "en", "zh".')
    for language in languages:
        if language not in title:
            raise StudyError(f'{path}, [title]: there is no title for the language "{language}".')


def _explain(struct: type[Table], toml: TomlFile, problem: str) -> str:
    """msgspec's message with the table, the key, the value seen and the words that would do."""
    path, content = toml.path, toml.content
    message, _, place = problem.partition(" - at `$")
    keys = _named(struct, content, re.findall(r"\w+(?:\[(?:\.\.\.|\d+)\])*", place))  # "[...]" is some key of a table
    unknown = re.search(r"unknown field `(.+)`", message)
    if unknown:
        known = _fields(struct, keys)
        close = get_close_matches(unknown[1], known, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        return f'{path}{_table(keys)}: unknown key "{unknown[1]}"{hint} Known keys: {", ".join(known)}.'
    missing = re.search(r"missing required field `(.+)`", message)
    if missing:
        return f'{path}{_table(keys)}: the key "{missing[1]}" is missing.'
    seen = _seen(content, keys)
    words = _words(struct, keys)
    expected = f"expected one of {words}" if words else message[:1].lower() + message[1:]
    return f"{path}{_table(keys[:-1])}{',' if len(keys) < 2 else ''} {keys[-1]} = {seen!r}: {expected}."


def _named(struct: type[Table], content: Any, keys: list[str]) -> list[str]:
    """The keys with the name of the table at fault, where msgspec says only that it is one of several."""
    for place, key in enumerate(keys):
        name, some, inside = key.partition("[...]")
        tables = _seen(content, [*keys[:place], name]) if some else None
        if isinstance(tables, dict):
            asked = _struct_at(struct, [*keys[:place], name])
            kind = next(get_args(kind)[1] for kind in (asked, *get_args(asked)) if get_origin(kind) is dict)
            wrong = next(key for key, table in tables.items() if not _converts(table, kind))
            return [*keys[:place], name, wrong + inside, *keys[place + 1 :]]
        element = _table_in(_struct_at(struct, [*keys[:place], name])) if some else None
        if isinstance(tables, list) and element is not None:
            wrong = next(str(i) for i, table in enumerate(tables) if not _converts(table, element))
            return [*keys[:place], f"{name}[{wrong}]{inside}", *keys[place + 1 :]]
    return keys


def _table_in(kind: Any) -> Any:
    """The table that a list is of, or None."""
    return next((item for item in get_args(kind) if get_origin(kind) is tuple and _is_table(item)), None)


def _converts(table: Any, struct: Any) -> bool:
    try:
        msgspec.convert(table, struct)
    except msgspec.ValidationError:
        return False
    return True


def _seen(content: Any, keys: list[str]) -> Any:
    """The value at the keys; of a list, the element that the last key names."""
    for key in keys:
        name = re.sub(r"\[\.\.\.\]|\[\d+\]", "", key)
        content = content.get(name, {}) if isinstance(content, dict) else content
        for place in re.findall(r"\[(\d+)\]", key):
            content = content[int(place)]
    return content


def _table(keys: list[str]) -> str:
    return f", [{'.'.join(keys)}]" if keys else ""


def _struct_at(root: type[Table], keys: list[str]) -> Any:
    struct: Any = root
    for key in keys:
        if get_origin(struct) is dict:
            struct = get_args(struct)[1]
            continue
        name = re.sub(r"\[\d+\]", "", key)
        known = {field.name: field.type for field in msgspec.structs.fields(struct)} if _is_table(struct) else {}
        struct = known.get(name)
        struct = (_table_in(struct) if name != key else None) or struct
        if get_origin(struct) is not dict:  # a table that may be absent
            struct = next((table for table in get_args(struct) if _is_table(table)), struct)
    return struct


def _is_table(struct: Any) -> bool:
    return isinstance(struct, type) and issubclass(struct, Table)


def _fields(root: type[Table], keys: list[str]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(_struct_at(root, keys))]


def _words(root: type[Table], keys: list[str]) -> str:
    """The words that a key may have, or nothing if it is not a choice."""
    name = re.sub(r"\[\.\.\.\]|\[\d+\]", "", keys[-1])
    info = msgspec.inspect.type_info(_struct_at(root, [*keys[:-1], name]) or Any)
    if isinstance(info, msgspec.inspect.VarTupleType):
        info = info.item_type
    if isinstance(info, msgspec.inspect.UnionType):  # a word that may be left out
        info = info.types[0]
    return ", ".join(f'"{word}"' for word in info.values) if isinstance(info, msgspec.inspect.LiteralType) else ""
