"""The decision of a study, from a summary and fits on: wall and CPU seconds and peak memory of each part.

The log is made up by the study's models at the CDNOW sample's parameters, with CDNOW's days. Settings are those of
studies/cdnow.toml. Reading, summarising and fitting are outside the clock; so is the forecast of the holdout and its
check, which the page's evidence rests on and which is timed apart.
"""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

import clvmodels as clv
from tests.benchmarks.scale import CLV_MODELS, SPEND
from tests.benchmarks.tasks import ROOT

SIZES = ((23_570, 15.0, None), (1_000_000, 180.0, 4_000.0))  # customers, most wall seconds, most MB
WINDOW = {"first_day": "1997-01-01", "acquisition_days": 90, "days": 546}  # CDNOW's


@dataclass(frozen=True)
class Parts:
    """Steps of a study, with the CPU seconds of each; it stands in for `clvmodels.study.progress.Steps`."""

    total: int = 0
    done: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, _: str = "") -> Iterator[None]:
        """Time a part."""
        began, cpu = time.perf_counter(), time.process_time()
        yield
        self.done.append(
            {
                "part": name,
                "wall": time.perf_counter() - began,
                "cpu": time.process_time() - cpu,
                "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )


def write_log_here(path: Path, size: int) -> dict[str, float]:
    """Write a log of `size` customers."""
    frame = clv.simulate_log(
        "bg_nbd",
        "gamma_gamma",
        parameters=CLV_MODELS["bg_nbd"],
        spend_parameters=SPEND,
        customers=size,
        seed=1,
        **WINDOW,
    )
    frame.to_parquet(path)
    return {"rows": len(frame)}


def decide_here(path: Path) -> dict[str, Any]:
    """Take the decision of a study on a log that was written here."""
    from clvmodels.study import decision, evidence
    from clvmodels.study.actions import weigh_actions
    from clvmodels.study.classes import classes_section
    from clvmodels.study.files import read_study
    from clvmodels.study.money import money_section, read_past

    study = read_study(ROOT / "studies" / "cdnow.toml").study
    log = clv.read_transactions(str(path))
    base, seen = decision.see_base(study, log, None), evidence.see_customers(study, log, None)
    fits, calibration_fits = decision.fit_decision(study, base), evidence.fit_calibration(study, seen)
    past = read_past(study, log)
    at_rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = Parts()
    with parts.step("before: holdout"):
        known = evidence.gather_evidence(study, seen, evidence.hold_main(study, log, seen, calibration_fits))
    began, cpu = time.perf_counter(), time.process_time()
    with parts.step("outlook"):
        outlook = decision.look_ahead(study, log, base, fits)
    with parts.step("best"):
        ranked = decision.rank_base(study, log, base)
    with parts.step("strategy"):
        decided = decision.decide(study, log, outlook, ranked)
    with parts.step("money"):
        money_section(study, log, past, outlook, decided)
    with parts.step("actions"):
        weigh_actions(study, log, outlook)
    with parts.step("classes"):
        classes_section(study, log, None, known, outlook, decided)
    return {
        "customers": len(base.customers),
        "draws": len(outlook.active),
        "parts": parts.done,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "at_rest": at_rest,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "equity": msgspec.to_builtins(decided.value.equity),
    }
