"""Floor 5: from forecasts to who gets what treatment, and what it may cost."""

from clvmodels.strategy.budgets import (
    acquisition_ceiling,
    cell_totals,
    cells,
    cut_estimate,
    retention_ceilings,
)
from clvmodels.strategy.classes import CustomerClasses
from clvmodels.strategy.grades import GRADE_CUTS, grades
from clvmodels.strategy.lifecycle import ended_relations, lifecycle
from clvmodels.strategy.matrix_calibration import class_calibration, matrix_calibration
from clvmodels.strategy.movements import DatedMatrix, movements
from clvmodels.strategy.pyramid import TIERS, pyramid
from clvmodels.strategy.strategies import read_strategies
from clvmodels.strategy.value_matrix import CELLS, CutDraws, ValueMatrix, value_matrix
from clvmodels.strategy.yearly_table import DiscountedCashFlow, discounted_cash_flow

__all__ = [
    "CELLS",
    "GRADE_CUTS",
    "TIERS",
    "CustomerClasses",
    "CutDraws",
    "DatedMatrix",
    "DiscountedCashFlow",
    "ValueMatrix",
    "acquisition_ceiling",
    "cell_totals",
    "cells",
    "class_calibration",
    "cut_estimate",
    "discounted_cash_flow",
    "ended_relations",
    "grades",
    "lifecycle",
    "matrix_calibration",
    "movements",
    "pyramid",
    "read_strategies",
    "retention_ceilings",
    "value_matrix",
]
