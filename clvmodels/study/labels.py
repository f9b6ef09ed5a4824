"""Classes of the customers on the decision date: options of the matrix, tiers, stages, ended relations, grades."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clvmodels.data import repeats_by_half
from clvmodels.forecast.future import Future
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.patterns import FloatArray
from clvmodels.foundation.records import CustomerSummary, Forecast, TransactionLog, Window
from clvmodels.foundation.results import MatrixSection
from clvmodels.foundation.units import days_per_unit
from clvmodels.inference import Fit
from clvmodels.strategy import CustomerClasses, ended_relations, grades, lifecycle, pyramid
from clvmodels.strategy.lifecycle import RATE_SHAPE
from clvmodels.strategy.value_matrix import cell_names
from clvmodels.study.config import Study, cut_of, loss_of
from clvmodels.study.files import StudyFile


@dataclass(frozen=True)
class Labels:
    """Classes of every customer on the decision date; `graded` is None where the study states no grades."""

    tiers: CustomerClasses
    stages: CustomerClasses
    ended: CustomerClasses
    graded: CustomerClasses | None

    @property
    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Columns of the customers' table, by name."""
        stated = {} if self.graded is None else self.graded.columns
        return {**self.tiers.columns, **self.stages.columns, **stated}


def matrix_options(study: Study) -> dict[str, Any]:
    """The options of `value_matrix` that the study states, but for the names of cells: no number rests on them."""
    matrix = study.matrix
    return {
        "cuts": {"current": cut_of(matrix.current), "future": cut_of(matrix.future)},
        "undecided_below": matrix.undecided_below,
        "loss": loss_of(matrix.loss),
    }


def named_cells(section: MatrixSection, vocabulary: str) -> MatrixSection:
    """A section of the matrix whose cells go by the names of a vocabulary."""
    names = cell_names(vocabulary)
    return replace(
        section, vocabulary=vocabulary, cells=[replace(cell, name=names[cell.key]) for cell in section.cells]
    )


def label_customers(
    study: Study,
    log: TransactionLog,
    customers: CustomerSummary,
    *,
    fit: Fit,
    future: Future,
    alive: Forecast,
    p_buy: FloatArray,
) -> Labels:
    """Tier, stage, pattern of the end, and grade of each customer, with their probabilities.

    Parameters
    ----------
    fit : of purchases; where its model has a shape r of the rates, stages are worked out with it
    """
    undecided_below = study.matrix.undecided_below
    assert customers.calibration_end is not None  # summarised from the log
    halves = repeats_by_half(log, Window(customers.calibration_end, unit=customers.unit))
    steady, shape = study.lifecycle.steady_repeats, fit.point.get("r", RATE_SHAPE)
    return Labels(
        tiers=pyramid(future.clv, shares=study.pyramid.shares, undecided_below=undecided_below),
        stages=lifecycle(
            customers,
            alive,
            p_buy=p_buy,
            rate_shape=shape,
            halves=halves,
            steady_repeats=steady,
            undecided_below=undecided_below,
        ),
        ended=ended_relations(
            customers,
            alive,
            p_buy=p_buy,
            rate_shape=shape,
            steady_repeats=steady,
            long_kept=study.lifecycle.long_kept_days / days_per_unit(customers.unit),
            undecided_below=undecided_below,
        ),
        graded=_graded(study, customers, future, alive) if study.grades.weights else None,
    )


def _graded(study: Study, customers: CustomerSummary, future: Future, alive: Forecast) -> CustomerClasses:
    known: dict[str, Forecast | ArrayLike] = {
        "purchases": future.purchases,
        "spend": future.spend,
        "clv": future.clv,
        "p_alive": alive,
        **{name: getattr(customers, name) for name in ("frequency", "recency", "T", "current_value")},
        **customers.covariates,
    }
    return grades(
        known,
        weights=study.grades.weights,
        customer_id=customers.customer_id,
        cuts=study.grades.cuts.levels,
        outright=study.grades.outright,
        undecided_below=study.matrix.undecided_below,
    )


def require_graded_columns(file: StudyFile[Study], traits: pd.DataFrame | None) -> None:
    """Refuse to grade by a column of the customers' file that has no number in some row, before any fit.

    Raises
    ------
    StudyError
        If a column named in [grades] holds text or has gaps.
    """
    for name in file.study.grades.columns if traits is not None else ():
        assert traits is not None
        if name not in traits.columns:
            continue
        if not pd.api.types.is_numeric_dtype(traits[name]) or traits[name].isna().any():
            raise StudyError(f'{file.path}, [grades]: the column "{name}" of [customers] is not a number in every row.')
