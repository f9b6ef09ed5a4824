"""Fits of 1,000 to 10,000,000 simulated customers, and CLV of 1,000,000: seconds and megabytes.

Fits are set against customers and patterns. Customers are as old as 1 to 730 days, at the CDNOW sample's parameters. In
whole days many are alike; with their exact times no two are. They are simulated once, outside the clock, and kept in a
temporary folder.
"""

import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

import clvmodels as clv

DAYS = 730
PARAMETERS = {"r": 0.243, "alpha": 7 * 4.414, "a": 0.793, "b": 2.426}
BLOCK = 1_000_000

# times, customers, method, most seconds, most MB
SIZES: tuple[tuple[str, int, str, float | None, float | None], ...] = (
    ("days", 1_000, "laplace", None, None),
    ("days", 10_000, "laplace", None, None),
    ("days", 100_000, "laplace", 5, None),
    ("days", 1_000_000, "laplace", 30, 2_000),
    ("days", 10_000_000, "laplace", 300, 8_000),
    ("exact", 1_000, "laplace", None, None),
    ("exact", 10_000, "laplace", None, None),
    ("exact", 100_000, "laplace", None, None),
    ("exact", 1_000_000, "laplace", None, None),
    ("days", 100_000, "nuts", 600, None),
)

CLV_SECONDS, CLV_MEGABYTES = 300, 2_000  # of 1,000,000 customers x 1,000 draws
SPEND = {"p": 6.25, "q": 3.74, "v": 15.44}
# Published parameters of the CDNOW sample, in weeks
CLV_MODELS = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "mbg_nbd": {"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614},
    "pareto_nbd": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
}


def simulate_here(path: Path, times: str, size: int) -> dict[str, float]:
    """Write a file of `size` customers."""
    blocks = [_block(times, min(BLOCK, size - first), seed) for seed, first in enumerate(range(0, size, BLOCK))]
    frequency, recency, T = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    np.savez(path, frequency=frequency, recency=recency, T=T)
    return {"customers": len(T)}


def _block(times: str, size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    age = DAYS * np.random.default_rng(seed).random(size)
    age = np.ceil(age) if times == "days" else age
    customers, _ = clv.simulate("bg_nbd", PARAMETERS, T=age, size=size, seed=seed, horizon=1, unit="day")
    recency = np.ceil(customers.recency) if times == "days" else customers.recency
    return customers.frequency, recency, customers.T


def fit_here(path: Path, method: str) -> dict[str, float]:
    """Seconds of the summary and of the fit, and this process's peak memory, ids as text included."""
    clv.fit  # noqa: B018  (its import is not timed here)
    with np.load(path) as columns:
        frame = pd.DataFrame({"customer_id": np.arange(len(columns["T"])), **columns})
    began = time.perf_counter()
    customers = clv.CustomerSummary.from_frame(frame, unit="day")
    summarised = time.perf_counter()
    cpu = time.process_time()
    fit = clv.fit("bg_nbd", customers, method=method, seed=1)
    fitted = time.perf_counter()
    return {
        "customers": fit.n_customers,
        "patterns": fit.n_patterns,
        "summary": summarised - began,
        "wall": fitted - summarised,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "pareto_k": fit.pareto_k,
        "effective": float(fit.summary()["ess_bulk"].min()),
    }


def simulate_spenders_here(path: Path, model: str, size: int) -> dict[str, float]:
    """Write a file of `size` customers of the model, with spend, seen for 39 weeks."""
    customers, _ = clv.simulate(model, CLV_MODELS[model], T=39.0, size=size, seed=1, spend=SPEND)
    names = ("frequency", "recency", "T", "monetary_value")
    np.savez(path, **{name: getattr(customers, name) for name in names})
    return {"customers": size}


def clv_here(path: Path, model: str, draws: int) -> dict[str, float]:
    """Seconds of `sample_clv` over 52 weeks, and this process's peak memory, customers included."""
    with np.load(path) as columns:
        frame = pd.DataFrame({"customer_id": np.arange(len(columns["T"])), **columns})
    customers = clv.CustomerSummary.from_frame(frame, unit="week")
    del frame
    fits = clv.fit_at(model, CLV_MODELS[model]), clv.fit_at("gamma_gamma", SPEND)
    clv.sample_clv(*fits, customers.take(np.arange(1)), horizon=52, annual_discount_rate=0.1, seed=1, draws=2)
    began, cpu = time.perf_counter(), time.process_time()
    value = clv.sample_clv(*fits, customers, horizon=52, annual_discount_rate=0.1, seed=1, draws=draws)
    return {
        "customers": len(customers),
        "draws": draws,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "mean": float(value.mean.mean()),
    }
