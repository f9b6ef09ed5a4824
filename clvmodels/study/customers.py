"""The customers of a study on a day, with what its customers' file tells of them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from clvmodels.baselines import BASELINES, Training
from clvmodels.data import calendar, customer_summary, training_windows
from clvmodels.data.small_tables import read_table
from clvmodels.foundation.effects import covariates_by_parameter, groups_by_parameter, learn_effects
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.foundation.model import Model
from clvmodels.foundation.records import CustomerSummary, TransactionLog, Window
from clvmodels.foundation.units import days_per_unit
from clvmodels.models import MODELS
from clvmodels.study.config import CustomersTable, Study
from clvmodels.study.files import StudyFile

FIRST_IDS = 5


def read_traits(table: CustomersTable | None, path: Path) -> pd.DataFrame | None:
    """The columns of the customers' file that the study takes, by customer id as text; None without a file.

    Raises
    ------
    StudyError
        If the file cannot be read, or a column is not in it.
    DataError
        If a customer is in several rows, or in one without an id.
    """
    if table is None:
        return None
    place = f"{path}, [customers]"
    frame = _read_frame(table, place)
    wanted = [table.id, *table.covariates, *table.groups]
    for name in wanted:
        if name not in frame.columns:
            have = ", ".join(str(column) for column in frame.columns)
            raise StudyError(f'{place}: {table.source} has no column "{name}"; it has: {have}.')
    ids = frame[table.id]
    if ids.isna().any():
        raise DataError(f"{table.source}: {table.id} is missing in row {int(np.argmax(ids.isna()))}.")
    if ids.duplicated().any():
        raise DataError(f"{table.source}: {table.id} {ids[ids.duplicated()].iloc[0]} is in several rows, not in one.")
    return frame[list(dict.fromkeys(wanted))].set_index(table.id)


def require_table(table: CustomersTable, path: Path) -> None:
    """Refuse a customers' file that is not there, or of a kind that is not read.

    Raises
    ------
    StudyError
        With its place in the study file.
    """
    place = f'{path}, [customers] source = "{table.source}"'
    if Path(table.source).suffix not in (".csv", ".parquet"):
        raise StudyError(f"{place}: expected a file that ends in .csv or .parquet.")
    if not Path(table.source).is_file():
        raise StudyError(f"{place} cannot be read: there is no such file (seen from {Path.cwd()}).")


def _read_frame(table: CustomersTable, place: str) -> pd.DataFrame:
    """The file as it is; ids and groups as text, so that 007 stays 007."""
    try:
        frame = read_table(table.source, texts=(table.id, *table.groups))
    except DataError as problem:
        raise StudyError(f'{place} source = "{table.source}" cannot be read: {problem}') from None
    return frame.assign(**{table.id: frame[table.id].astype("str")}) if table.id in frame else frame


def summarise(study: Study, log: TransactionLog, traits: pd.DataFrame | None, window: Window) -> CustomerSummary:
    """The customers won by the end of the window's calibration, with the covariates and groups of the study.

    Raises
    ------
    DataError
        If the customers' file has no row for some of them.
    """
    return with_traits(study, customer_summary(log, window, current_days=study.value.current_days), traits)


def with_traits(study: Study, customers: CustomerSummary, traits: pd.DataFrame | None) -> CustomerSummary:
    """The customers with the columns of the customers' file, where the study has one.

    Raises
    ------
    DataError
        If it has no row for some of them.
    """
    if traits is None or study.customers is None:
        return customers
    absent = customers.customer_id[~np.isin(customers.customer_id.astype(str), traits.index.to_numpy(dtype=str))]
    if len(absent):
        first = ", ".join(absent[:FIRST_IDS])
        raise DataError(
            f"{study.customers.source} has no row for {len(absent)} of {len(customers)} customers of the log "
            f"(first: {first}). Add them; unknown values may be a category of their own."
        )
    return customers.with_columns(traits, covariates=study.customers.covariates, groups=study.customers.groups)


def training_for(baselines: Iterable[str], log: TransactionLog, window: Window, *, horizon: float) -> Training:
    """Windows inside the calibration for the baselines that learn from them; none where no baseline does."""
    if not any(BASELINES[name].trained for name in baselines):
        return ()
    return training_windows(log, window, horizon=horizon)


def customers_for(model: Model, customers: CustomerSummary, study: Study, log: TransactionLog) -> CustomerSummary:
    """The customers as a model reads them: by whole days for opportunities, with a calendar if it takes one."""
    if model.clock == "opportunities":
        return by_day(customers)
    if model.on_calendar is None:
        return customers
    terms = calendar(log, study.contest_window, **msgspec.structs.asdict(study.rivals.calendar))
    dated = customer_summary(log, study.contest_window, calendar=terms)
    return replace(customers, calendar=terms, term_sums=dated.term_sums)


def by_day(customers: CustomerSummary) -> CustomerSummary:
    """The same customers with times in whole days."""
    per_unit = days_per_unit(customers.unit)
    between = customers.log_interval
    return replace(
        customers,
        recency=np.rint(customers.recency * per_unit),
        T=np.rint(customers.T * per_unit),
        log_interval=None if between is None else between + np.log(per_unit),
        unit="day",
    )


def require_effects(file: StudyFile[Study], study: Study, log: TransactionLog, traits: pd.DataFrame | None) -> None:
    """Refuse covariates and groups that the models cannot take, before any fit.

    Raises
    ------
    StudyError
        If a parameter is unknown or takes no covariates.
    DataError
        If a customer is not in the file, or a column cannot be used.
    """
    tables = {"purchases": study.fit.purchases, "spend": study.fit.spend}
    used = [family for family, table in tables.items() if table.covariates or table.groups]
    for family in used:
        model = MODELS[getattr(study.models, family)]
        try:
            covariates_by_parameter(model, tables[family].covariates)
            groups_by_parameter(model, tables[family].groups)
        except FitError as problem:
            raise StudyError(f"{file.path}, [fit.{family}]: {problem}") from None
    if used:
        window = Window(study.value.as_of or log.last_date, unit=study.window.unit)
        customers = summarise(study, log, traits, window)
        for family in used:
            model, table = MODELS[getattr(study.models, family)], tables[family]
            learn_effects(model, customers, covariates=table.covariates, groups=table.groups)
