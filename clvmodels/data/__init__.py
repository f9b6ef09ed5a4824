"""Floor 1: purchase logs, contracts and summaries of customers, worked out inside a data engine.

Names are imported on first use, since the engine's library takes most of a second to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clvmodels.data.cohorts import cohort_triangle, contract_triangle
    from clvmodels.data.compression import compress, compress_retention, compress_spend, repeat_spend
    from clvmodels.data.datasets import DATASETS
    from clvmodels.data.history import (
        calendar_history,
        first_purchase_days,
        period_ends,
        purchase_history,
        purchases_by_period,
    )
    from clvmodels.data.kept import keep_summary, kept_summary, update_summary
    from clvmodels.data.opportunities import opportunity_holdout, opportunity_summary
    from clvmodels.data.published import donor_summary, retention_data
    from clvmodels.data.rereading import alternatives, choices
    from clvmodels.data.retention import retention_table
    from clvmodels.data.seasons import calendar
    from clvmodels.data.summary import compress_log, customer_summary, holdout_summary
    from clvmodels.data.training import training_windows
    from clvmodels.data.transactions import read_transactions
    from clvmodels.data.windows import rolling_windows

__all__ = [
    "DATASETS",
    "alternatives",
    "calendar",
    "calendar_history",
    "choices",
    "cohort_triangle",
    "compress",
    "compress_log",
    "compress_retention",
    "compress_spend",
    "contract_triangle",
    "customer_summary",
    "donor_summary",
    "first_purchase_days",
    "holdout_summary",
    "keep_summary",
    "kept_summary",
    "opportunity_holdout",
    "opportunity_summary",
    "period_ends",
    "purchase_history",
    "purchases_by_period",
    "read_transactions",
    "repeat_spend",
    "retention_data",
    "retention_table",
    "rolling_windows",
    "training_windows",
    "update_summary",
]

_HOME = {
    "DATASETS": "datasets",
    "alternatives": "rereading",
    "calendar": "seasons",
    "calendar_history": "history",
    "choices": "rereading",
    "compress": "compression",
    "compress_log": "summary",
    "compress_retention": "compression",
    "compress_spend": "compression",
    "cohort_triangle": "cohorts",
    "contract_triangle": "cohorts",
    "customer_summary": "summary",
    "donor_summary": "published",
    "first_purchase_days": "history",
    "holdout_summary": "summary",
    "keep_summary": "kept",
    "kept_summary": "kept",
    "opportunity_holdout": "opportunities",
    "opportunity_summary": "opportunities",
    "period_ends": "history",
    "purchase_history": "history",
    "purchases_by_period": "history",
    "read_transactions": "transactions",
    "repeat_spend": "compression",
    "retention_data": "published",
    "retention_table": "retention",
    "rolling_windows": "windows",
    "update_summary": "kept",
    "training_windows": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
