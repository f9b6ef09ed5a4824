"""The file of a contest, strictly read: methods, data sets, and the days on which all of them forecast."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from clvmodels.baselines import BASELINES
from clvmodels.evaluation.pairs import candidate_named
from clvmodels.foundation.errors import FitError, StudyError
from clvmodels.foundation.units import TimeUnit
from clvmodels.study.config import CheckName, Count, DataTable, Fraction
from clvmodels.study.strict import LimitsTable, Table, TomlFile, converted, refuse_nameless

Length = Annotated[int, msgspec.Meta(gt=0)] | Annotated[float, msgspec.Meta(gt=0)]  # months of the calendar are whole
BEST = "best"
DONORS = "donors"


class ContestMethodsTable(Table, frozen=True):
    """[contest]: who takes part, and how scores are compared.

    method : the one whose differences to the others are shown
    baselines : registry names
    models : "<purchases>+<spend>" by registry names, with "[all]" where spend is learnt from all baskets
    best : whether `best_forecast` takes part, under the name "best"
    totals : of `models`, the one whose totals, drift and intervals are checked; by default the first
    replicates, level : as `rolling_contest` takes them
    costs : keys of data sets on which seconds and megabytes of each method are measured, which runs each twice more
    """

    method: str
    baselines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    best: bool = False
    totals: str | None = None
    replicates: Annotated[int, msgspec.Meta(ge=100)] = 400
    level: Fraction = 0.10
    costs: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every method by name."""
        return (*self.baselines, *self.models, *((BEST,) if self.best else ()))

    @property
    def total_model(self) -> str | None:
        """The model whose totals are checked; None without models."""
        return self.totals or next(iter(self.models), None)


class ContestFitTable(Table, frozen=True):
    """[fit]: how models are fitted at every origin."""

    method: Literal["laplace", "nuts"] = "laplace"
    draws: Annotated[int, msgspec.Meta(ge=100)] = 500
    allow: tuple[CheckName, ...] = ()


class OriginsTable(Table, frozen=True):
    """[data.<key>.origins]: rolling windows, as `clvmodels.rolling_windows` takes them, for each of the horizons.

    `number` is the most of them: longer horizons may have room for fewer.
    """

    first_end: dt.date
    step: Length
    horizons: Annotated[tuple[Length, ...], msgspec.Meta(min_length=1)]
    number: Count | None = None
    unit: TimeUnit = "week"
    lengths: Literal["unit", "calendar_month"] = "unit"
    acquired_within: Length | None = None


class ContestDataTable(Table, frozen=True):
    """[data.<key>]: a log, its title by language code, and its origins.

    optional : whether the contest goes on without it where its file or package is not there
    """

    title: dict[str, str]
    log: DataTable
    origins: OriginsTable
    optional: bool = False


class StoryTable(Table, frozen=True):
    """[simulated.<key>.story]: a log told by two models, as `clvmodels.simulate_log` takes it."""

    purchases: str
    spend: str
    parameters: dict[str, float]
    spend_parameters: dict[str, float]
    customers: Count
    first_day: dt.date
    acquisition_days: Count
    days: Count
    unit: TimeUnit = "week"
    currency: str = "USD"


class SimulatedTable(Table, frozen=True):
    """[simulated.<key>]: a log that models tell.

    shuffles : how often each holdout's outcomes are handed to other customers by chance, so that nobody may win. The
        first shuffle is shown as a contest, and over all of them it is counted how often somebody wins all the same. 0
        leaves outcomes as they are
    """

    title: dict[str, str]
    story: StoryTable
    origins: OriginsTable
    shuffles: Annotated[int, msgspec.Meta(ge=0)] = 0


class ContestDonorsTable(Table, frozen=True):
    """[donors]: the donors of 1995, who give or do not each year.

    method : the one whose differences to the others are shown there
    """

    title: dict[str, str]
    source: Literal["dataset:donations"]
    method: Literal["bg_bb_counts", "same_rate", "abc"] = "bg_bb_counts"


class ContestStudy(Table, frozen=True):
    """The file as a record. `title` and `background` are by language code."""

    kind: Literal["contest"]
    name: str
    seed: Annotated[int, msgspec.Meta(ge=0)]
    title: dict[str, str]
    contest: ContestMethodsTable
    background: dict[str, str] = msgspec.field(default_factory=dict)
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    fit: ContestFitTable = ContestFitTable()
    data: dict[str, ContestDataTable] = msgspec.field(default_factory=dict)
    simulated: dict[str, SimulatedTable] = msgspec.field(default_factory=dict)
    donors: ContestDonorsTable | None = None
    limits: LimitsTable = LimitsTable()

    @property
    def titles(self) -> Mapping[str, dict[str, str]]:
        """Title of each data set, by its place in the file."""
        titles = {f"data.{key}": table.title for key, table in self.data.items()}
        titles |= {f"simulated.{key}": table.title for key, table in self.simulated.items()}
        return titles if self.donors is None else {**titles, DONORS: self.donors.title}

    @property
    def origins(self) -> Mapping[str, OriginsTable]:
        """Origins of each data set that has them, by its place in the file."""
        origins = {f"data.{key}": table.origins for key, table in self.data.items()}
        return origins | {f"simulated.{key}": table.origins for key, table in self.simulated.items()}


def contest_study(toml: TomlFile) -> ContestStudy:
    """The contest of a file.

    Raises
    ------
    StudyError
        If a key, a word or a method in it is not known, or two of them contradict each other.
    """
    study = converted(toml, ContestStudy)
    refuse_nameless(toml.path, study.name, study.title, study.languages)
    _refuse_methods(toml.path, study.contest)
    _refuse_data(toml.path, study)
    return study


def _refuse_methods(path: Path, contest: ContestMethodsTable) -> None:
    for name in contest.baselines:
        if name not in BASELINES:
            words = ", ".join(f'"{word}"' for word in BASELINES)
            raise StudyError(f'{path}, [contest] baselines has "{name}": expected some of {words}.')
    for name in contest.models:
        try:
            candidate_named(name)
        except FitError as problem:
            raise StudyError(f"{path}, [contest] models: {problem}") from None
    names = contest.names
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise StudyError(f'{path}, [contest]: the method "{twice[0]}" is named twice.')
    words = ", ".join(f'"{name}"' for name in names)
    if contest.method not in names:
        raise StudyError(
            f'{path}, [contest] method = "{contest.method}": it does not take part; expected one of {words}.'
        )
    if len(names) < 2:
        raise StudyError(f"{path}, [contest]: a contest needs two methods or more; there is {words}.")
    if contest.totals is not None and contest.totals not in contest.models:
        raise StudyError(f'{path}, [contest] totals = "{contest.totals}": it is not in [contest] models.')


def _refuse_data(path: Path, study: ContestStudy) -> None:
    if not study.titles:
        raise StudyError(f"{path}: no data set: give [data.<key>], [simulated.<key>] or [donors].")
    keys = [*study.data, *study.simulated, *([DONORS] if study.donors is not None else [])]
    twice = [key for place, key in enumerate(keys) if key in keys[:place]]
    if twice:
        raise StudyError(f'{path}: two data sets have the key "{twice[0]}".')
    for key in study.contest.costs:
        if key not in keys:
            known = ", ".join(f'"{key}"' for key in keys)
            raise StudyError(f'{path}, [contest] costs has "{key}": expected some of {known}.')
    for place, title in study.titles.items():
        for language in study.languages:
            if language not in title:
                raise StudyError(f'{path}, [{place}.title]: there is no title for the language "{language}".')
    for place, origins in study.origins.items():
        horizons = origins.horizons
        if list(horizons) != sorted(set(horizons)):
            raise StudyError(
                f"{path}, [{place}.origins] horizons = {list(horizons)}: give each once, the shortest first."
            )
