"""A study file, strictly read: an unknown key or word is refused, with its place, before any data are."""

import datetime as dt
import hashlib
import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from clvmodels.foundation.effects import ACQUISITION
from clvmodels.foundation.errors import DataError, StudyError
from clvmodels.foundation.records import Window
from clvmodels.foundation.units import TimeUnit

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
CheckName = Literal[  # the diagnostics of `clvmodels.inference.diagnostics.ADVICE`
    "newton_decrement",
    "smallest_curvature",
    "nested",
    "pareto_k",
    "effective_draws",
    "infinite_mean",
    "r_hat",
    "divergences",
    "energy",
]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of a study file."""


class DataTable(Table, frozen=True):
    """[data]: where the log is and how to read it; see `clvmodels.read_transactions`."""

    source: str
    currency: str
    customer: str = "customer_id"
    date: str = "date"
    amount: str = "amount"
    date_format: str | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    refunds: Literal["net", "match", "drop", "keep"] = "net"
    zero_amounts: Literal["keep", "drop"] = "keep"
    missing_ids: Literal["refuse", "drop"] = "refuse"


class WindowTable(Table, frozen=True):
    """[window]: the last day that the models see, and the last day of the check."""

    calibration_end: dt.date
    holdout_end: dt.date
    unit: TimeUnit = "week"


class ModelsTable(Table, frozen=True):
    """[models]: registry names."""

    purchases: str = "bg_nbd"
    spend: str = "gamma_gamma"


class CustomersTable(Table, frozen=True):
    """[customers]: a file (.csv or .parquet) with a row a customer, and its columns that parameters may depend on.

    `id` is the column with the ids of the log. `covariates` are numbers or categories, `groups` are text.
    """

    source: str
    id: str = "customer_id"
    covariates: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class EffectsTable(Table, frozen=True):
    """[fit.purchases] or [fit.spend]: what a model's parameters depend on, and what they are pooled over.

    covariates : a list for every parameter that takes covariates, or by parameter: { alpha = ["age"] }
    groups : a column of [customers] groups, or acquisition_week, _month or _year, or a list of these, for every
        parameter, or by parameter: { alpha = ["acquisition_month", "channel"], a = "channel" }
    """

    covariates: dict[str, tuple[str, ...]] | tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...] | str] | tuple[str, ...] | str = ()

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Every column named, once: those of the covariates and those of the groups."""
        covariates = self.covariates.values() if isinstance(self.covariates, dict) else [self.covariates]
        groups = self.groups.values() if isinstance(self.groups, dict) else [self.groups]
        listed = [(names,) if isinstance(names, str) else names for names in groups]
        return {
            "covariates": tuple(dict.fromkeys(name for names in covariates for name in names)),
            "groups": tuple(dict.fromkeys(name for names in listed for name in names if name)),
        }


class FitTable(Table, frozen=True):
    """[fit]: the method that forecasts rest on, and those shown beside it.

    `allow` names checks of the fits that may fail: the study goes on, and its report says so first.
    `replicates` is the number of data sets that each model makes to be held against the data.
    `purchases` and `spend` are the covariates and groups of the two models.
    """

    method: Literal["laplace", "nuts"] = "laplace"
    draws: Annotated[int, msgspec.Meta(ge=100)] = 2000
    compare: tuple[Literal["mle", "laplace", "nuts"], ...] = ()
    allow: tuple[CheckName, ...] = ()
    replicates: Annotated[int, msgspec.Meta(ge=20)] = 200
    purchases: EffectsTable = EffectsTable()
    spend: EffectsTable = EffectsTable()


class KeepShares(Table, frozen=True):
    """[value.keep_share]: by cell of the matrix, most to spend on keeping a customer, of expected future value."""

    high_high: Share = 0.2
    low_high: Share = 0.2
    high_low: Share = 0.1
    low_low: Share = 0.05


class ValueTable(Table, frozen=True):
    """[value]: the decision. `as_of` defaults to the last day of the log; `horizon` is in the window's unit."""

    horizon: Positive
    annual_discount_rate: Annotated[float, msgspec.Meta(gt=-1)]
    margin: Annotated[float, msgspec.Meta(gt=0, le=1)]
    as_of: dt.date | None = None
    current_days: Count = 365
    keep_share: KeepShares = KeepShares()
    win_share: Share = 0.4


class CutTable(Table, frozen=True):
    """A threshold of the matrix: quantile = 0.8, amount = 100.0 or share_of_value = 0.8; exactly one."""

    quantile: Fraction | None = None
    amount: Positive | None = None
    share_of_value: Fraction | None = None


class MatrixTable(Table, frozen=True):
    """[matrix]: the vocabulary, the two cuts, and the probability below which a label is in doubt."""

    names: Literal["treatment", "metal"] = "treatment"
    undecided_below: Share = 0.6
    current: CutTable = CutTable(quantile=0.8)
    future: CutTable = CutTable(quantile=0.8)


class ContestTable(Table, frozen=True):
    """[contest]: baselines of the comparison, and bootstrap replicates over customers."""

    baselines: tuple[str, ...] = ("abc", "rfm", "same_rate", "lifetimes")
    replicates: Annotated[int, msgspec.Meta(ge=100)] = 400


class RivalFitTable(Table, frozen=True):
    """[rivals.fit.<model>]: how one of the rivals is fitted, where not as [rivals] says."""

    method: Literal["laplace", "nuts"] | None = None
    draws: Annotated[int, msgspec.Meta(ge=100)] | None = None


class CalendarTable(Table, frozen=True):
    """[rivals.calendar]: terms of season and campaigns, as `clvmodels.calendar` takes them.

    Campaigns are lists of [first day, last day] by name: { spring_sale = [[1997-03-01, 1997-03-14]] }.
    """

    waves: Annotated[int, msgspec.Meta(ge=0, le=12)] = 0
    seasons: tuple[Literal["christmas", "quarters", "months"], ...] = ()
    campaigns: dict[str, tuple[tuple[dt.date, dt.date], ...]] = {}


class RivalsTable(Table, frozen=True):
    """[rivals]: models beside those of [models], on which no decision rests.

    `models` are registry names of purchase models, `spend` of spend models; the study's own takes part whether it is
    named or not. Method and draws default to those of [fit]. A model on a calendar needs the table `calendar`.
    """

    models: tuple[str, ...] = ()
    spend: tuple[str, ...] = ()
    method: Literal["laplace", "nuts"] | None = None
    draws: Annotated[int, msgspec.Meta(ge=100)] | None = None
    fit: dict[str, RivalFitTable] = {}
    calendar: CalendarTable = CalendarTable()


class Study(Table, frozen=True):
    """A study file as a record. `title` and `background` are by language code."""

    name: str
    seed: Annotated[int, msgspec.Meta(ge=0)]
    title: dict[str, str]
    data: DataTable
    window: WindowTable
    value: ValueTable
    background: dict[str, str] = {}
    languages: tuple[Literal["en", "zh"], ...] = ("en", "zh")
    customers: CustomersTable | None = None
    models: ModelsTable = ModelsTable()
    fit: FitTable = FitTable()
    matrix: MatrixTable = MatrixTable()
    contest: ContestTable = ContestTable()
    rivals: RivalsTable = RivalsTable()

    @property
    def purchase_rivals(self) -> tuple[str, ...]:
        """Purchase models beside the study's own."""
        return tuple(name for name in self.rivals.models if name != self.models.purchases)

    @property
    def spend_rivals(self) -> tuple[str, ...]:
        """Spend models beside the study's own."""
        return tuple(name for name in self.rivals.spend if name != self.models.spend)

    def fit_of_rival(self, name: str) -> tuple[str, int]:
        """Method and draws of a rival's fit."""
        own = self.rivals.fit.get(name, RivalFitTable())
        method = own.method or self.rivals.method or self.fit.method
        return method, own.draws or self.rivals.draws or self.fit.draws

    @property
    def contest_window(self) -> Window:
        """The window of the contest: calibration and holdout."""
        return Window(self.window.calibration_end, self.window.holdout_end, self.window.unit)


@dataclass(frozen=True)
class StudyFile:
    """A study with where it came from; `digest` is the SHA-256 of the file's bytes."""

    study: Study
    path: Path
    digest: str


def read_study(path: str | Path) -> StudyFile:
    """The study in a TOML file.

    Raises
    ------
    StudyError
        If the file is missing or not TOML, or a key or a word in it is not known.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise StudyError(f"{path}: cannot read the study file ({problem.strerror}).") from None
    try:
        content = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise StudyError(f"{path} is not TOML: {problem}.") from None
    try:
        study = msgspec.convert(content, Study)
    except msgspec.ValidationError as problem:
        raise StudyError(_explain(path, content, str(problem))) from None
    _refuse_contradictions(path, study)
    return StudyFile(study, path, hashlib.sha256(raw).hexdigest())


def cut_of(table: CutTable) -> tuple[str, float]:
    """The kind and the setting of a cut, such as ("quantile", 0.8)."""
    settings = {kind: getattr(table, kind) for kind in ("quantile", "amount", "share_of_value")}
    ((kind, setting),) = ((kind, setting) for kind, setting in settings.items() if setting is not None)
    return kind, setting


def _refuse_contradictions(path: Path, study: Study) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", study.name):
        raise StudyError(
            f"{path}, name = {study.name!r}: expected letters, digits, - and _, since reports/<name> is named so."
        )
    if not study.languages:
        raise StudyError(f'{path}, languages = []: expected at least one of "en", "zh".')
    for language in study.languages:
        if language not in study.title:
            raise StudyError(f'{path}, [title]: there is no title for the language "{language}".')
    for name in ("current", "future"):
        table = getattr(study.matrix, name)
        if sum(value is not None for value in (table.quantile, table.amount, table.share_of_value)) != 1:
            raise StudyError(f"{path}, [matrix.{name}]: give exactly one of quantile, amount, share_of_value.")
    try:
        window = study.contest_window
    except DataError as problem:
        raise StudyError(f"{path}, [window]: {problem}") from None
    if study.value.as_of is not None and study.value.as_of < window.calibration_end:
        raise StudyError(f"{path}, [value] as_of = {study.value.as_of}: it is before the calibration ends.")
    if len(set(study.contest.baselines)) < len(study.contest.baselines):
        raise StudyError(f"{path}, [contest] baselines names one of them twice.")
    _refuse_rivals(path, study)
    _refuse_unknown_columns(path, study)
    _refuse_groups_without_nuts(path, study)


def _refuse_rivals(path: Path, study: Study) -> None:
    rivals = study.rivals
    for key in ("models", "spend"):
        names: tuple[str, ...] = getattr(rivals, key)
        if len(set(names)) < len(names):
            raise StudyError(f"{path}, [rivals] {key} names one of them twice.")
    others = (*study.purchase_rivals, *study.spend_rivals)
    if rivals != RivalsTable() and not others:
        raise StudyError(f"{path}, [rivals]: it names no model beside the study's own; name some, or leave it out.")
    for name in rivals.fit:
        if name in (study.models.purchases, study.models.spend):
            raise StudyError(
                f"{path}, [rivals.fit.{name}]: it is the study's own model, which is fitted as [fit] says."
            )
        if name not in others:
            raise StudyError(f"{path}, [rivals.fit.{name}]: it is not in [rivals] models or spend.")


def _refuse_unknown_columns(path: Path, study: Study) -> None:
    """Columns that a model is to use must be taken from the customers' file, and those taken must be used."""
    used: dict[str, set[str]] = {"covariates": set(), "groups": set(ACQUISITION)}
    for family, kind, names in _columns_used(study):
        taken = () if study.customers is None else getattr(study.customers, kind)
        known = (*taken, *ACQUISITION) if kind == "groups" else taken
        used[kind] |= set(names)
        for name in names:
            if name not in known:
                has = ", ".join(f'"{word}"' for word in known) or "nothing"
                raise StudyError(f'{path}, [fit.{family}] {kind} has "{name}": [customers] {kind} has {has}.')
    for kind in ("covariates", "groups") if study.customers is not None else ():
        idle = [name for name in getattr(study.customers, kind) if name not in used[kind]]
        if idle:
            raise StudyError(
                f'{path}, [customers] {kind} has "{idle[0]}", which no model uses: name it in [fit.purchases] '
                f"or [fit.spend] {kind}, or leave it out."
            )


def _refuse_groups_without_nuts(path: Path, study: Study) -> None:
    grouped = [family for family, kind, names in _columns_used(study) if kind == "groups" and names]
    if not grouped:
        return
    if study.fit.method != "nuts":
        raise StudyError(
            f'{path}, [fit] method = "{study.fit.method}": groups ([fit.{grouped[0]}]) need method = "nuts".'
        )
    others = [method for method in study.fit.compare if method != "nuts"]
    if others:
        raise StudyError(
            f'{path}, [fit] compare has "{others[0]}", which cannot pool groups ([fit.{grouped[0]}]): leave it out.'
        )


def _columns_used(study: Study) -> list[tuple[str, str, tuple[str, ...]]]:
    """Family, "covariates" or "groups", and the columns named there."""
    tables = {"purchases": study.fit.purchases, "spend": study.fit.spend}
    return [(family, kind, names) for family, table in tables.items() for kind, names in table.columns.items()]


def _explain(path: Path, content: dict[str, Any], problem: str) -> str:
    """msgspec's message with the table, the key, the value seen and the words that would do."""
    message, _, place = problem.partition(" - at `$")
    keys = _named(content, re.findall(r"\w+(?:\[(?:\.\.\.|\d+)\])*", place))  # "[...]" is some key of a table
    unknown = re.search(r"unknown field `(.+)`", message)
    if unknown:
        known = _fields(keys)
        close = get_close_matches(unknown[1], known, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        return f'{path}{_table(keys)}: unknown key "{unknown[1]}"{hint} Known keys: {", ".join(known)}.'
    missing = re.search(r"missing required field `(.+)`", message)
    if missing:
        return f'{path}{_table(keys)}: the key "{missing[1]}" is missing.'
    seen = _seen(content, keys)
    words = _words(keys)
    expected = f"expected one of {words}" if words else message[:1].lower() + message[1:]
    return f"{path}{_table(keys[:-1])}{',' if len(keys) < 2 else ''} {keys[-1]} = {seen!r}: {expected}."


def _named(content: Any, keys: list[str]) -> list[str]:
    """The keys with the name of the rival at fault, where msgspec says only that it is one of them."""
    if keys[:2] != ["rivals", "fit[...]"]:
        return keys
    tables = _seen(content, keys[:2])
    wrong = next(name for name, table in tables.items() if not _converts(table, RivalFitTable))
    return ["rivals", "fit", wrong, *keys[2:]]


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


def _struct_at(keys: list[str]) -> Any:
    struct: Any = Study
    for key in keys:
        if get_origin(struct) is dict:
            struct = get_args(struct)[1]
            continue
        known = {field.name: field.type for field in msgspec.structs.fields(struct)} if _is_table(struct) else {}
        struct = known.get(key)
        if get_origin(struct) is not dict:  # a table that may be absent
            struct = next((table for table in get_args(struct) if _is_table(table)), struct)
    return struct


def _is_table(struct: Any) -> bool:
    return isinstance(struct, type) and issubclass(struct, Table)


def _fields(keys: list[str]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(_struct_at(keys))]


def _words(keys: list[str]) -> str:
    """The words that a key may have, or nothing if it is not a choice."""
    name = re.sub(r"\[\.\.\.\]|\[\d+\]", "", keys[-1])
    info = msgspec.inspect.type_info(_struct_at([*keys[:-1], name]) or Any)
    if isinstance(info, msgspec.inspect.VarTupleType):
        info = info.item_type
    if isinstance(info, msgspec.inspect.UnionType):  # a word that may be left out
        info = info.types[0]
    return ", ".join(f'"{word}"' for word in info.values) if isinstance(info, msgspec.inspect.LiteralType) else ""
