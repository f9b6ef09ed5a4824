"""The file of a study of retention, strictly read."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.units import TimeUnit
from clvmodels.models import MODELS
from clvmodels.study.config import CheckName, Positive
from clvmodels.study.strict import LimitsTable, Table, TomlFile, converted, refuse_nameless

Ages = Annotated[tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(max_length=6)]


class ContractsTable(Table, frozen=True):
    """[contracts]: survivors of each segment by renewal, or a file that `clvmodels.retention_table` reads.

    survivors : by segment, customers still there after 0, 1, 2, ... renewals
    source : a file with a row a contract, or "dataset:NAME" of a table of retention, in place of survivors
    """

    unit: TimeUnit
    currency: str
    survivors: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    source: str = ""
    customer: str = "customer_id"
    start: str = "start"
    end: str = "end"
    segment: str = ""
    price: str = ""
    observation_end: dt.date | None = None
    observed_from: dt.date | None = None
    date_format: str | None = None


class RetentionModelsTable(Table, frozen=True):
    """[models]: the model that values rest on, and those shown beside it."""

    main: str = "sbg"
    rivals: tuple[str, ...] = ("geometric",)


class RetentionFitTable(Table, frozen=True):
    """[fit]: as in a study of purchases."""

    method: Literal["laplace", "nuts"] = "laplace"
    draws: Annotated[int, msgspec.Meta(ge=100)] = 2000
    allow: tuple[CheckName, ...] = ()


class CheckTable(Table, frozen=True):
    """[check]: ages that models learn up to, to be held against the later ones; and how far curves go on."""

    learn_to: Ages = ()
    ahead: Annotated[int, msgspec.Meta(ge=1, le=120)] = 12


class RetentionValueTable(Table, frozen=True):
    """[value]: price a unit (where contracts do not bring theirs), margin, discount, and the what-if."""

    price: Positive
    annual_discount_rate: Annotated[float, msgspec.Meta(gt=0)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    due: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    fewer_defections: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05


class DonorsTable(Table, frozen=True):
    """[donors]: the donors of 1995 by BG/BB, so many years ahead."""

    source: Literal["dataset:donations"]
    horizon: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5


class CohortsTable(Table, frozen=True):
    """[cohorts]: a purchase log as cohorts by age; calendar units from `learn_to` on are forecast."""

    source: str
    learn_to: dt.date
    unit: TimeUnit = "month"
    currency: str = "USD"
    draws: Annotated[int, msgspec.Meta(ge=100)] = 1000


class RetentionStudy(Table, frozen=True):
    """The file as a record. `title` and `background` are by language code.

    `privacy`: "without" leaves out the examples of rows, the one place where results name customers.
    """

    kind: Literal["retention"]
    name: str
    seed: Annotated[int, msgspec.Meta(ge=0)]
    title: dict[str, str]
    contracts: ContractsTable
    value: RetentionValueTable
    background: dict[str, str] = msgspec.field(default_factory=dict)
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    models: RetentionModelsTable = RetentionModelsTable()
    fit: RetentionFitTable = RetentionFitTable()
    check: CheckTable = CheckTable()
    donors: DonorsTable | None = None
    cohorts: CohortsTable | None = None
    limits: LimitsTable = LimitsTable()
    privacy: Literal["open", "without"] = "open"


def retention_study(toml: TomlFile) -> RetentionStudy:
    """The study of a file.

    Raises
    ------
    StudyError
        If a key or a word in it is not known, or two of them contradict each other.
    """
    study = converted(toml, RetentionStudy)
    refuse_nameless(toml.path, study.name, study.title, study.languages)
    _refuse_contradictions(toml.path, study)
    return study


def _refuse_contradictions(path: Path, study: RetentionStudy) -> None:
    contracts, models = study.contracts, study.models
    if bool(contracts.survivors) == bool(contracts.source):
        raise StudyError(f"{path}, [contracts]: give either survivors or source.")
    known = [name for name, model in MODELS.items() if model.family == "retention"]
    words = ", ".join(f'"{name}"' for name in known)
    for place, names in (("main", (models.main,)), ("rivals", models.rivals)):
        for name in names:
            if name not in known:
                raise StudyError(f'{path}, [models] {place} has "{name}": expected one of {words}.')
    if len({models.main, *models.rivals}) < 1 + len(models.rivals):
        raise StudyError(f"{path}, [models]: a model is named twice.")
    if len(set(study.check.learn_to)) < len(study.check.learn_to):
        raise StudyError(f"{path}, [check] learn_to names an age twice.")
