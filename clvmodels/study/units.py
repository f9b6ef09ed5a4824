"""Units of work: each is made once, kept under a key of all that it rests on, and taken from there while that holds.

A unit's key is the digest of its name, its settings, the code that it runs, the versions of the libraries, and the
keys of the units that it needs; the first of these have the digest of the bytes that they read. So a changed row,
setting or line of code reaches the units that rest on it and no others, and which those are is known before any of
them runs. A unit without a codec, such as a log in an engine, is made again when a unit that runs asks for it.
"""

import hashlib
import platform
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import msgspec

from clvmodels.study.code import code_digests
from clvmodels.study.progress import Steps
from clvmodels.study.store import Codec, Entry, Store

LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis-framework", "pymc", "pytensor", "nutpie", "numba")


@dataclass(frozen=True)
class Parts:
    """What a key is made of.

    Attributes
    ----------
    settings : plain values
    inputs : name -> digest of bytes that are read
    code : definition -> digest; see `code_digests`
    needs : unit -> key
    versions : library -> version
    """

    settings: Any
    inputs: dict[str, str]
    code: dict[str, str]
    needs: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True)
class Unit[T]:
    """A piece of work. Calling it gives its value; it is made at most once a run."""

    name: str
    text: str
    make: Callable[[], T]
    codec: Codec[T] | None
    needs: tuple["Unit[Any]", ...]
    parts: Parts
    key: str
    units: "Units"

    def __call__(self) -> T:
        """The value; see `Units.value`."""
        value: T = self.units.value(self)
        return value


@dataclass(frozen=True)
class Reason:
    """Why a unit runs: `kind` is "new", "input", "setting", "code", "version" or "need", `what` names those changed."""

    unit: str
    kind: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class Units:
    """The units of a study's run, in the order in which they were named."""

    study: str
    store: Store
    steps: Steps
    known: dict[str, Unit[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    running: list[Unit[Any]] = field(default_factory=list)

    def unit[T](
        self,
        name: str,
        text: str,
        make: Callable[[], T],
        *,
        code: Iterable[str],
        needs: Sequence[Unit[Any]] = (),
        settings: Any = None,
        inputs: dict[str, str] | None = None,
        codec: Codec[T] | None = None,
    ) -> Unit[T]:
        """A unit of this run.

        Parameters
        ----------
        name : once a run
        text : announces it to who is watching
        make : makes the value; it may call the units of `needs`, and no others
        code : roots of the code that it runs, as `code_digests` takes them
        settings : plain values that it depends on, seeds among them
        inputs : digests of bytes that it reads, by name
        codec : how the value is kept; None for one that is made again
        """
        assert name not in self.known, f"two units are named {name}"
        parts = Parts(
            settings=msgspec.to_builtins(settings),
            inputs=dict(inputs or {}),
            code=code_digests(code),
            needs={need.name: need.key for need in needs},
            versions=_versions(),
        )
        key = hashlib.sha256(msgspec.json.encode([name, parts], order="sorted")).hexdigest()
        made = Unit(name, text, make, codec, tuple(needs), parts, key, self)
        self.known[name] = made
        return made

    def value(self, unit: Unit[Any]) -> Any:
        """The value of a unit: as it was made in this run, or was kept, or made now."""
        if self.running:
            asking = self.running[-1]
            assert unit.name in asking.parts.needs, f"{asking.name} asks for {unit.name}, which it does not need"
        if unit.name not in self.values:
            kept = unit.codec is not None and self.store.entry(unit.key) is not None
            self.values[unit.name] = self.store.read(unit.key, unit.codec) if kept and unit.codec else self._made(unit)
        return self.values[unit.name]

    def _made(self, unit: Unit[Any]) -> Any:
        for need in unit.needs:
            need()
        with self.steps.step(unit.name, unit.text):
            start = time.perf_counter()
            self.running.append(unit)
            try:
                value = unit.make()
            finally:
                self.running.pop()
            seconds = time.perf_counter() - start
        if unit.codec is not None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            about = Entry(
                study=self.study,
                unit=unit.name,
                parts=msgspec.to_builtins(unit.parts),
                seconds=round(seconds, 3),
                megabytes=round(peak, 1),
            )
            self.store.keep(unit.key, value, unit.codec, about)
        return value

    def to_run(self) -> list[Reason]:
        """The kept units that would run, and why, in their order."""
        missing = [unit for unit in self.known.values() if unit.codec and self.store.entry(unit.key) is None]
        before: dict[str, Entry] = {}
        for _, entry in self.store.entries():
            if entry.study == self.study:
                before.setdefault(entry.unit, entry)
        return [_reason(unit, before.get(unit.name)) for unit in missing]


def _reason(unit: Unit[Any], before: Entry | None) -> Reason:
    if before is None:
        return Reason(unit.name, "new", ())
    parts: dict[str, Any] = msgspec.to_builtins(unit.parts)
    for kind, part in {
        "input": "inputs", "setting": "settings", "code": "code", "version": "versions", "need": "needs"
    }.items():  # fmt: skip
        changed = _changed(before.parts.get(part), parts[part])
        if changed:
            return Reason(unit.name, kind, changed)
    return Reason(unit.name, "new", ())


def _changed(before: Any, now: Any) -> tuple[str, ...]:
    """Keys, of nested tables with a dot between, whose values differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return tuple(
            ".".join(filter(None, (str(name), inner)))
            for name in names
            for inner in (_changed(before.get(name), now.get(name)) or ("",))
        )
    return () if before == now else ("",)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
