"""clvmodels: the distribution of what customers will buy and be worth.

Names are loaded when first used, so that importing the package is instant.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clvmodels.baselines import BASELINES as BASELINES
    from clvmodels.data import DATASETS as DATASETS
    from clvmodels.data import base_periods as base_periods
    from clvmodels.data import calendar as calendar
    from clvmodels.data import cohort_triangle as cohort_triangle
    from clvmodels.data import compress_spend_log as compress_spend_log
    from clvmodels.data import contract_triangle as contract_triangle
    from clvmodels.data import counted_summary as counted_summary
    from clvmodels.data import customer_summary as customer_summary
    from clvmodels.data import donor_summary as donor_summary
    from clvmodels.data import engine_limits as engine_limits
    from clvmodels.data import holdout_summary as holdout_summary
    from clvmodels.data import keep_summary as keep_summary
    from clvmodels.data import kept_summary as kept_summary
    from clvmodels.data import map_customers as map_customers
    from clvmodels.data import opportunity_holdout as opportunity_holdout
    from clvmodels.data import opportunity_summary as opportunity_summary
    from clvmodels.data import past_value as past_value
    from clvmodels.data import purchase_history as purchase_history
    from clvmodels.data import read_transactions as read_transactions
    from clvmodels.data import repeats_by_half as repeats_by_half
    from clvmodels.data import retention_data as retention_data
    from clvmodels.data import retention_table as retention_table
    from clvmodels.data import rolling_windows as rolling_windows
    from clvmodels.data import summary_batches as summary_batches
    from clvmodels.data import training_windows as training_windows
    from clvmodels.data import update_summary as update_summary
    from clvmodels.evaluation import SCORES as SCORES
    from clvmodels.evaluation import Candidate as Candidate
    from clvmodels.evaluation import Occasion as Occasion
    from clvmodels.evaluation import best_forecast as best_forecast
    from clvmodels.evaluation import best_method as best_method
    from clvmodels.evaluation import check_totals as check_totals
    from clvmodels.evaluation import conformal_check as conformal_check
    from clvmodels.evaluation import conformal_intervals as conformal_intervals
    from clvmodels.evaluation import difficulty_rows as difficulty_rows
    from clvmodels.evaluation import drift_check as drift_check
    from clvmodels.evaluation import forecast_occasion as forecast_occasion
    from clvmodels.evaluation import measure_methods as measure_methods
    from clvmodels.evaluation import model_method as model_method
    from clvmodels.evaluation import posterior_predictive_check as posterior_predictive_check
    from clvmodels.evaluation import rolling_contest as rolling_contest
    from clvmodels.evaluation import run_sbc as run_sbc
    from clvmodels.evaluation import spend_independence as spend_independence
    from clvmodels.evaluation import total_coverage as total_coverage
    from clvmodels.evaluation import winners as winners
    from clvmodels.forecast import average_forecasts as average_forecasts
    from clvmodels.forecast import cash_flows as cash_flows
    from clvmodels.forecast import expected_clv as expected_clv
    from clvmodels.forecast import leaving_reasons as leaving_reasons
    from clvmodels.forecast import new_customer as new_customer
    from clvmodels.forecast import new_retention_value as new_retention_value
    from clvmodels.forecast import predict as predict
    from clvmodels.forecast import prior_predictive as prior_predictive
    from clvmodels.forecast import purchase_probabilities as purchase_probabilities
    from clvmodels.forecast import retention_curve as retention_curve
    from clvmodels.forecast import retention_value as retention_value
    from clvmodels.forecast import retention_what_if as retention_what_if
    from clvmodels.forecast import revenue_retention as revenue_retention
    from clvmodels.forecast import sample_clv as sample_clv
    from clvmodels.forecast import sample_future as sample_future
    from clvmodels.forecast import sample_new_customers as sample_new_customers
    from clvmodels.forecast import sample_retained as sample_retained
    from clvmodels.forecast import sample_retention_value as sample_retention_value
    from clvmodels.forecast import sample_spend as sample_spend
    from clvmodels.forecast import sample_totals as sample_totals
    from clvmodels.forecast import simulate as simulate
    from clvmodels.forecast import simulate_log as simulate_log
    from clvmodels.forecast import what_if as what_if
    from clvmodels.forecast import with_purchase_rate as with_purchase_rate
    from clvmodels.forecast import write_forecasts as write_forecasts
    from clvmodels.foundation.calendar import Calendar as Calendar
    from clvmodels.foundation.changes import Effect as Effect
    from clvmodels.foundation.cohorts import CohortTriangle as CohortTriangle
    from clvmodels.foundation.errors import DataError as DataError
    from clvmodels.foundation.errors import FitError as FitError
    from clvmodels.foundation.errors import StudyError as StudyError
    from clvmodels.foundation.history import PurchaseHistory as PurchaseHistory
    from clvmodels.foundation.kept import KeptSummary as KeptSummary
    from clvmodels.foundation.priors import HalfNormal as HalfNormal
    from clvmodels.foundation.priors import LogitNormal as LogitNormal
    from clvmodels.foundation.priors import LogNormal as LogNormal
    from clvmodels.foundation.priors import Normal as Normal
    from clvmodels.foundation.priors import OneOf as OneOf
    from clvmodels.foundation.records import CustomerSummary as CustomerSummary
    from clvmodels.foundation.records import Forecast as Forecast
    from clvmodels.foundation.records import HoldoutSummary as HoldoutSummary
    from clvmodels.foundation.records import TransactionLog as TransactionLog
    from clvmodels.foundation.records import Window as Window
    from clvmodels.foundation.retention import RetentionTable as RetentionTable
    from clvmodels.inference import Fit as Fit
    from clvmodels.inference import compare_models as compare_models
    from clvmodels.inference import fit as fit
    from clvmodels.inference import fit_at as fit_at
    from clvmodels.inference import fit_joint as fit_joint
    from clvmodels.inference import fit_joint_at as fit_joint_at
    from clvmodels.inference import fit_revenue_retention as fit_revenue_retention
    from clvmodels.inference import load_fit as load_fit
    from clvmodels.inference import log_likelihood as log_likelihood
    from clvmodels.inference import loo as loo
    from clvmodels.inference import prior_sensitivity as prior_sensitivity
    from clvmodels.inference import waic as waic
    from clvmodels.models import MODELS as MODELS
    from clvmodels.report.compare import compare_runs as compare_runs
    from clvmodels.report.index import render_index as render_index
    from clvmodels.report.render import render_report as render_report
    from clvmodels.report.verify import verify_report as verify_report
    from clvmodels.strategy import CustomerClasses as CustomerClasses
    from clvmodels.strategy import DatedMatrix as DatedMatrix
    from clvmodels.strategy import class_calibration as class_calibration
    from clvmodels.strategy import discounted_cash_flow as discounted_cash_flow
    from clvmodels.strategy import ended_relations as ended_relations
    from clvmodels.strategy import grades as grades
    from clvmodels.strategy import lifecycle as lifecycle
    from clvmodels.strategy import matrix_calibration as matrix_calibration
    from clvmodels.strategy import movements as movements
    from clvmodels.strategy import pyramid as pyramid
    from clvmodels.strategy import read_strategies as read_strategies
    from clvmodels.strategy import value_matrix as value_matrix
    from clvmodels.study import run_study as run_study

HOMES = {
    "BASELINES": "clvmodels.baselines",
    "DATASETS": "clvmodels.data",
    "base_periods": "clvmodels.data",
    "calendar": "clvmodels.data",
    "cohort_triangle": "clvmodels.data",
    "contract_triangle": "clvmodels.data",
    "compress_spend_log": "clvmodels.data",
    "counted_summary": "clvmodels.data",
    "customer_summary": "clvmodels.data",
    "donor_summary": "clvmodels.data",
    "engine_limits": "clvmodels.data",
    "holdout_summary": "clvmodels.data",
    "map_customers": "clvmodels.data",
    "keep_summary": "clvmodels.data",
    "kept_summary": "clvmodels.data",
    "opportunity_holdout": "clvmodels.data",
    "opportunity_summary": "clvmodels.data",
    "past_value": "clvmodels.data",
    "purchase_history": "clvmodels.data",
    "read_transactions": "clvmodels.data",
    "repeats_by_half": "clvmodels.data",
    "retention_data": "clvmodels.data",
    "retention_table": "clvmodels.data",
    "summary_batches": "clvmodels.data",
    "rolling_windows": "clvmodels.data",
    "update_summary": "clvmodels.data",
    "training_windows": "clvmodels.data",
    "SCORES": "clvmodels.evaluation",
    "Occasion": "clvmodels.evaluation",
    "difficulty_rows": "clvmodels.evaluation",
    "forecast_occasion": "clvmodels.evaluation",
    "measure_methods": "clvmodels.evaluation",
    "model_method": "clvmodels.evaluation",
    "Candidate": "clvmodels.evaluation",
    "best_forecast": "clvmodels.evaluation",
    "best_method": "clvmodels.evaluation",
    "check_totals": "clvmodels.evaluation",
    "conformal_check": "clvmodels.evaluation",
    "conformal_intervals": "clvmodels.evaluation",
    "drift_check": "clvmodels.evaluation",
    "posterior_predictive_check": "clvmodels.evaluation",
    "rolling_contest": "clvmodels.evaluation",
    "run_sbc": "clvmodels.evaluation",
    "spend_independence": "clvmodels.evaluation",
    "total_coverage": "clvmodels.evaluation",
    "winners": "clvmodels.evaluation",
    "average_forecasts": "clvmodels.forecast",
    "cash_flows": "clvmodels.forecast",
    "expected_clv": "clvmodels.forecast",
    "leaving_reasons": "clvmodels.forecast",
    "new_customer": "clvmodels.forecast",
    "new_retention_value": "clvmodels.forecast",
    "predict": "clvmodels.forecast",
    "prior_predictive": "clvmodels.forecast",
    "purchase_probabilities": "clvmodels.forecast",
    "retention_curve": "clvmodels.forecast",
    "retention_value": "clvmodels.forecast",
    "retention_what_if": "clvmodels.forecast",
    "revenue_retention": "clvmodels.forecast",
    "sample_clv": "clvmodels.forecast",
    "sample_future": "clvmodels.forecast",
    "sample_new_customers": "clvmodels.forecast",
    "sample_retained": "clvmodels.forecast",
    "sample_retention_value": "clvmodels.forecast",
    "sample_spend": "clvmodels.forecast",
    "sample_totals": "clvmodels.forecast",
    "simulate": "clvmodels.forecast",
    "simulate_log": "clvmodels.forecast",
    "what_if": "clvmodels.forecast",
    "with_purchase_rate": "clvmodels.forecast",
    "write_forecasts": "clvmodels.forecast",
    "Calendar": "clvmodels.foundation.calendar",
    "CohortTriangle": "clvmodels.foundation.cohorts",
    "Effect": "clvmodels.foundation.changes",
    "DataError": "clvmodels.foundation.errors",
    "FitError": "clvmodels.foundation.errors",
    "StudyError": "clvmodels.foundation.errors",
    "PurchaseHistory": "clvmodels.foundation.history",
    "KeptSummary": "clvmodels.foundation.kept",
    "HalfNormal": "clvmodels.foundation.priors",
    "LogitNormal": "clvmodels.foundation.priors",
    "LogNormal": "clvmodels.foundation.priors",
    "Normal": "clvmodels.foundation.priors",
    "OneOf": "clvmodels.foundation.priors",
    "CustomerSummary": "clvmodels.foundation.records",
    "Forecast": "clvmodels.foundation.records",
    "HoldoutSummary": "clvmodels.foundation.records",
    "TransactionLog": "clvmodels.foundation.records",
    "Window": "clvmodels.foundation.records",
    "RetentionTable": "clvmodels.foundation.retention",
    "Fit": "clvmodels.inference",
    "compare_models": "clvmodels.inference",
    "fit": "clvmodels.inference",
    "fit_at": "clvmodels.inference",
    "fit_joint": "clvmodels.inference",
    "fit_joint_at": "clvmodels.inference",
    "fit_revenue_retention": "clvmodels.inference",
    "load_fit": "clvmodels.inference",
    "log_likelihood": "clvmodels.inference",
    "loo": "clvmodels.inference",
    "prior_sensitivity": "clvmodels.inference",
    "waic": "clvmodels.inference",
    "MODELS": "clvmodels.models",
    "render_index": "clvmodels.report.index",
    "render_report": "clvmodels.report.render",
    "compare_runs": "clvmodels.report.compare",
    "verify_report": "clvmodels.report.verify",
    "discounted_cash_flow": "clvmodels.strategy",
    "read_strategies": "clvmodels.strategy",
    "CustomerClasses": "clvmodels.strategy",
    "DatedMatrix": "clvmodels.strategy",
    "ended_relations": "clvmodels.strategy",
    "grades": "clvmodels.strategy",
    "lifecycle": "clvmodels.strategy",
    "class_calibration": "clvmodels.strategy",
    "matrix_calibration": "clvmodels.strategy",
    "movements": "clvmodels.strategy",
    "pyramid": "clvmodels.strategy",
    "value_matrix": "clvmodels.strategy",
    "run_study": "clvmodels.study",
}
__all__ = [*HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("clvmodels")
    if name not in HOMES:
        raise AttributeError(f"module 'clvmodels' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
