"""Floor 5: from forecasts to who gets what treatment, and what it may cost."""

from clvmodels.foundation.estimates import estimate
from clvmodels.strategy.budgets import (
    acquisition_ceiling,
    cell_totals,
    cells,
    cut_estimate,
    retention_ceilings,
)
from clvmodels.strategy.value_matrix import CELLS, CutDraws, ValueMatrix, value_matrix

__all__ = [
    "CELLS",
    "CutDraws",
    "ValueMatrix",
    "acquisition_ceiling",
    "cell_totals",
    "cells",
    "cut_estimate",
    "estimate",
    "retention_ceilings",
    "value_matrix",
]
