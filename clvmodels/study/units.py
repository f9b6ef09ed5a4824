"""Units of work: each is made once, kept under a key of all that it rests on, and taken from there while that holds.

A unit's key is the digest of its name, the settings that it may read, the code that it runs, the versions of the
libraries, and the keys of the units that it needs; the first of these have the digest of the bytes that they read. So
a changed row, setting or line of code reaches the units that rest on it and no others, and which those are is known
before any of them runs. A unit that is not kept, such as a log in an engine, is made again when one that runs needs it.

A run that meets bad input stops there. A unit that breaks in another way is named at the end, with those that rest on
it; all others are made and kept first.
"""

import hashlib
import resource
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from clvmodels.foundation.errors import DataError, EngineLimitError, FitError, StudyError, UnitsFailedError
from clvmodels.study.code import PACKAGE, code_digests
from clvmodels.study.current import versions
from clvmodels.study.packing import packed
from clvmodels.study.progress import Steps
from clvmodels.study.store import Codec, Entry, Store
from clvmodels.study.supervised import Watch
from clvmodels.study.view import only, settings_at

OURS = (DataError, StudyError, FitError)  # what a user can mend


@dataclass(frozen=True)
class Parts:
    """What a key is made of.

    Attributes
    ----------
    settings : path or name -> plain value
    inputs : name -> digest of bytes that are read
    code : definition -> digest; see `code_digests`
    needs : unit -> key
    versions : library -> version
    """

    settings: dict[str, Any]
    inputs: dict[str, str]
    code: dict[str, str]
    needs: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True)
class Unit[T]:
    """A piece of work. Calling it gives its value; it is made at most once a run."""

    name: str
    text: str
    make: Callable[..., T]
    given: Mapping[str, Any]
    paths: tuple[str, ...]
    codec: Codec[T] | None
    needs: "tuple[Unit[Any], ...]"
    parts: Parts
    key: str
    units: "Units"

    def __call__(self) -> T:
        """The value; see `Units.value`.

        Raises
        ------
        UnitsFailedError
            If the unit breaks, or one that it needs.
        """
        try:
            value: T = self.units.value(self)
        except _NotMade as problem:
            raise UnitsFailedError(self.units.failures()) from problem.__cause__
        return value


@dataclass(frozen=True)
class Reason:
    """Why a unit runs: `kind` is "new", "input", "setting", "code", "version" or "need", `what` names those changed."""

    unit: str
    kind: str
    what: tuple[str, ...]


class _NotMade(Exception):  # noqa: N818 - not an error of its own: the unit that it names has failed
    """A unit that another needs could not be made."""


class _BrokenBefore(Exception):  # noqa: N818 - what a process before this one met
    """A unit that took too long, or whose process was stopped."""


@dataclass(frozen=True)
class Units:
    """The units of a study's run, in the order in which they were named.

    Attributes
    ----------
    study : the record whose settings units read
    name : of the study, under which its entries are listed
    still : refuses inputs that have changed since their digests were taken; asked before anything is kept
    watch : who is told which unit runs, and knows those not to be tried again
    failed : unit -> what it said
    kept : unit -> its entry in the store, as far as looked for
    fresh : keys of the entries that this run has made
    """

    study: Any
    name: str
    store: Store
    steps: Steps
    still: Callable[[], None] = lambda: None
    watch: Watch = field(default_factory=Watch)
    known: dict[str, Unit[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    kept: dict[str, Entry] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)

    def unit[T](
        self,
        name: str,
        text: str,
        make: Callable[..., T],
        *,
        needs: Sequence[Unit[Any]] = (),
        settings: Sequence[str] = (),
        given: Mapping[str, Any] | None = None,
        unkeyed: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        code: Iterable[str] = (),
        codec: Codec[T] | None = packed(),  # noqa: B008 - it holds nothing
    ) -> Unit[T]:
        """A unit of this run.

        Parameters
        ----------
        name : once a run
        text : announces it to who is watching
        make : makes the value from the study, of which it can read `settings` alone, the values of `needs` in their
            order, and `given` by name
        settings : paths in the study, such as "value.margin"
        given : further plain values that it depends on
        unkeyed : further values by name, which its messages alone have
        inputs : digests of bytes that it reads, by name
        code : roots of code that it runs beside its own, as `code_digests` takes them: members of registries
        codec : how the value is kept; None for one that is made again
        """
        if name in self.known:
            raise ValueError(f"two units are named {name}")
        parts = Parts(
            settings=_as_kept(settings_at(self.study, settings) | dict(given or {})),
            inputs=dict(inputs or {}),
            code=code_digests([*_own_code(make), *code]),
            needs={need.name: need.key for need in needs},
            versions=dict(versions()),
        )
        key = hashlib.sha256(msgspec.json.encode([name, parts], order="sorted")).hexdigest()
        words = {**(given or {}), **(unkeyed or {})}
        made = Unit(name, text, make, words, tuple(settings), codec, tuple(needs), parts, key, self)
        self.known[name] = made
        return made

    def value(self, unit: Unit[Any]) -> Any:
        """The value of a unit: as it was made in this run, or was kept, or made now."""
        if unit.name in self.failed:
            raise _NotMade(unit.name)
        if unit.name not in self.values:
            kept = unit.codec is not None and self.entry(unit) is not None
            self.values[unit.name] = self.store.read(unit.key, unit.codec) if kept and unit.codec else self._made(unit)
        return self.values[unit.name]

    def entry(self, unit: Unit[Any]) -> Entry | None:
        """The entry of a kept unit, if there is one that is whole; it is looked at once a run."""
        if unit.name not in self.kept:
            found = self.store.entry(unit.key)
            if found is None:
                return None
            self.kept[unit.name] = found
        return self.kept[unit.name]

    def run(self) -> None:
        """Make every unit that is to be kept and is not.

        Raises
        ------
        DataError, StudyError, FitError
            As soon as a unit meets what a user can mend. A unit that breaks otherwise is left, and so are those that
            need it; a StudyError names them when the others are made.
        """
        for unit in self.known.values():
            if unit.codec is not None and self.entry(unit) is None:
                try:
                    self.value(unit)
                except _NotMade:
                    continue
                finally:
                    self._let_go()
        if self.failed:
            raise UnitsFailedError(self.failures()) from next(iter(self.failed.values()))

    def _let_go(self) -> None:
        """Drop the values that nothing to come needs."""
        needed = {need.name for unit in self.to_make() if unit.name not in self.failed for need in unit.needs}
        for name in self.values.keys() - needed:
            del self.values[name]

    def _made(self, unit: Unit[Any]) -> Any:
        broken = self.watch.broken.get(self.name, {}).get(unit.name)
        if broken is not None:
            self.failed[unit.name] = _BrokenBefore(broken)
            raise _NotMade(unit.name)
        values = [self.value(need) for need in unit.needs]
        start = time.perf_counter()
        self.watch.begin(self.name, unit.name, self.study.limits.seconds)
        try:
            with self.steps.step(unit.name, unit.text):
                value = unit.make(only(self.study, unit.paths), *values, **unit.given)
                if unit.codec is not None:
                    self.still()
                    self._keep(unit, value, time.perf_counter() - start)
        except Exception as problem:
            if isinstance(problem, OURS) and not isinstance(problem, EngineLimitError):
                raise
            self.failed[unit.name] = problem
            self.steps.tell(f"      failed: {_told(problem)}")
            if not isinstance(problem, (MemoryError, EngineLimitError)):
                self.steps.tell("".join(traceback.format_exception(problem)).rstrip())
            raise _NotMade(unit.name) from problem
        finally:
            self.watch.end()
        return value

    def _keep(self, unit: Unit[Any], value: Any, seconds: float) -> None:
        assert unit.codec is not None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        about = Entry(
            study=self.name,
            unit=unit.name,
            parts=msgspec.to_builtins(unit.parts),
            seconds=round(seconds, 3),
            megabytes=round(peak, 1),
        )
        self.store.keep(unit.key, value, unit.codec, about)
        self.fresh.append(unit.key)

    def failures(self) -> str:
        """The units that broke, what they said, and those not made because of them."""
        broken = [f"{name}: {_told(problem)}" for name, problem in self.failed.items()]
        resting = [
            unit.name
            for unit in self.known.values()
            if unit.codec is not None and unit.name not in self.failed and self.entry(unit) is None
        ]
        not_made = f"; not made, since they rest on it: {', '.join(resting)}" if resting else ""
        return (
            f"study {self.name}: {len(broken)} unit(s) failed ({'; '.join(broken)}){not_made}. What else was made is "
            "kept, the report is as it was before; the next run goes on from there."
        )

    def to_make(self) -> list[Unit[Any]]:
        """The units that a run makes: those to be kept that are not, and those not kept that they need."""
        missing = [unit for unit in self.known.values() if unit.codec and self.entry(unit) is None]
        names = {unit.name for unit in missing}
        waiting = list(missing)
        while waiting:
            for need in waiting.pop().needs:
                if need.codec is None and need.name not in names:
                    names.add(need.name)
                    waiting.append(need)
        return [unit for unit in self.known.values() if unit.name in names]

    def reasons(self) -> list[Reason]:
        """Why each kept unit that would run does, in their order."""
        before: dict[str, Entry] = {}
        for _, entry in self.store.entries():
            if entry.study == self.name:
                before.setdefault(entry.unit, entry)
        return [_reason(unit, before.get(unit.name)) for unit in self.to_make() if unit.codec is not None]


def _as_kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as they come back from an entry: lists for tuples, text for days."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return plain


def _own_code(make: Callable[..., Any]) -> list[str]:
    module = make.__module__
    return [f"{module}:{make.__qualname__}"] if module.partition(".")[0] == PACKAGE else []


def _told(problem: Exception) -> str:
    if isinstance(problem, MemoryError):
        return (
            "out of memory. Fewer draws ([fit] draws) or fewer customers at a time need less; so does another "
            "program less beside it"
        )
    if isinstance(problem, (_BrokenBefore, EngineLimitError)):
        return str(problem)
    return f"{type(problem).__name__}: {problem}"


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
