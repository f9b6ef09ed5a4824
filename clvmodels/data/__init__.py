"""Floor 1: purchase logs, contracts and summaries of customers, worked out inside a data engine.

Names are imported on first use, since the engine's library takes most of a second to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clvmodels.data.base import base_periods
    from clvmodels.data.cohorts import cohort_triangle, contract_triangle
    from clvmodels.data.compression import (
        compress,
        compress_retention,
        compress_spend,
        customers_of,
        learnt_spend,
    )
    from clvmodels.data.datasets import DATASETS
    from clvmodels.data.engines import engine_limits
    from clvmodels.data.history import (
        calendar_history,
        first_purchase_days,
        period_ends,
        purchase_history,
        purchases_by_period,
        repeats_by_half,
    )
    from clvmodels.data.kept import keep_summary, kept_summary, update_summary
    from clvmodels.data.opportunities import opportunity_holdout, opportunity_summary
    from clvmodels.data.published import donor_summary, retention_data
    from clvmodels.data.rereading import alternatives, choices
    from clvmodels.data.retention import retention_table
    from clvmodels.data.seasons import calendar
    from clvmodels.data.slices import Parts, map_customers, summary_batches
    from clvmodels.data.summary import (
        compress_log,
        compress_spend_log,
        counted_summary,
        customer_summary,
        holdout_summary,
    )
    from clvmodels.data.training import training_windows
    from clvmodels.data.transactions import read_transactions
    from clvmodels.data.value_parts import PastValue, past_value
    from clvmodels.data.windows import rolling_windows

__all__ = [
    "DATASETS",
    "Parts",
    "PastValue",
    "alternatives",
    "base_periods",
    "calendar",
    "calendar_history",
    "choices",
    "cohort_triangle",
    "compress",
    "compress_log",
    "compress_retention",
    "compress_spend",
    "compress_spend_log",
    "contract_triangle",
    "counted_summary",
    "customer_summary",
    "customers_of",
    "donor_summary",
    "engine_limits",
    "first_purchase_days",
    "holdout_summary",
    "keep_summary",
    "kept_summary",
    "learnt_spend",
    "map_customers",
    "opportunity_holdout",
    "opportunity_summary",
    "past_value",
    "period_ends",
    "purchase_history",
    "purchases_by_period",
    "read_transactions",
    "repeats_by_half",
    "retention_data",
    "retention_table",
    "rolling_windows",
    "summary_batches",
    "training_windows",
    "update_summary",
]

_HOME = {
    "DATASETS": "datasets",
    "Parts": "slices",
    "PastValue": "value_parts",
    "alternatives": "rereading",
    "base_periods": "base",
    "calendar": "seasons",
    "calendar_history": "history",
    "choices": "rereading",
    "compress": "compression",
    "compress_log": "summary",
    "compress_retention": "compression",
    "compress_spend": "compression",
    "compress_spend_log": "summary",
    "counted_summary": "summary",
    "cohort_triangle": "cohorts",
    "contract_triangle": "cohorts",
    "customer_summary": "summary",
    "engine_limits": "engines",
    "customers_of": "compression",
    "first_purchase_days": "history",
    "holdout_summary": "summary",
    "map_customers": "slices",
    "donor_summary": "published",
    "keep_summary": "kept",
    "kept_summary": "kept",
    "opportunity_holdout": "opportunities",
    "opportunity_summary": "opportunities",
    "past_value": "value_parts",
    "period_ends": "history",
    "purchase_history": "history",
    "purchases_by_period": "history",
    "read_transactions": "transactions",
    "repeats_by_half": "history",
    "learnt_spend": "compression",
    "retention_data": "published",
    "retention_table": "retention",
    "summary_batches": "slices",
    "rolling_windows": "windows",
    "update_summary": "kept",
    "training_windows": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
