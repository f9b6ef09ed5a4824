"""Floor 5: from forecasts to who gets what treatment, and what it may cost."""

from clvmodels.strategy.budgets import (
    acquisition_ceiling,
    cell_totals,
    cells,
    cut_estimate,
    estimate,
    retention_ceilings,
)
from clvmodels.strategy.value_matrix import CELLS, CutDraws, ValueMatrix, value_matrix
from clvmodels.strategy.yearly_table import DiscountedCashFlow, discounted_cash_flow

__all__ = [
    "CELLS",
    "CutDraws",
    "DiscountedCashFlow",
    "ValueMatrix",
    "acquisition_ceiling",
    "cell_totals",
    "cells",
    "cut_estimate",
    "discounted_cash_flow",
    "estimate",
    "retention_ceilings",
    "value_matrix",
]
