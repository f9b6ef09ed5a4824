"""Simulation-based calibration: whether posteriors are where, and as wide as, they ought to be.

Parameters are drawn from a prior, customers from the model's story at those parameters, a posterior from a
fit with the same prior. Then the rank of a true value among L posterior draws is uniform on 0 to L, for
every quantity of parameters and data [1]_. Quantities that read the data as well catch a posterior that
leaves out part of them [2]_.

References
----------
.. [1] Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788.
.. [2] Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari (2025), Simulation-Based
   Calibration Checking for Bayesian Computation: The Choice of Test Quantities Shapes Sensitivity,
   Bayesian Analysis 20(2), doi 10.1214/23-BA1404.
"""

import csv
import fcntl
import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np

from clvmodels.evaluation.experiment import (
    AGES,
    MONEY,
    Experiment,
    log_likelihood_of,
    quantities,
    quantity_names,
    simulated_customers,
)
from clvmodels.evaluation.ranks import chi_square_p, ecdf_p, rank_of_first
from clvmodels.foundation.effects import Effects
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.foundation.model import DataScale, Model
from clvmodels.foundation.patterns import IntArray
from clvmodels.foundation.priors import OneOf, ParameterPrior, prior_from, prior_to_dict
from clvmodels.foundation.retention import Customers, RetentionClock
from clvmodels.foundation.whole import is_whole, require_count, require_seed
from clvmodels.inference import fit
from clvmodels.inference.diagnostics import ess
from clvmodels.inference.fitting import priors_for
from clvmodels.inference.result import Fit, dataset_of
from clvmodels.models import model_named

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

RENEWALS = (2.0, 4.0, 6.0, 9.0, 12.0)  # ages of relations: weekly renewals
HORIZON, HORIZON_RENEWALS = 39.0, 10.0
PRIOR_SD = 0.4  # of the log: wide enough for very different bases, without one that nobody could fit
LEVEL = 0.05  # shared out over the quantities
SPARE = 4  # NUTS draws for each one that is ranked
REFITS = 4
FEWEST = {"simulations": 20, "customers": 10, "draws": 19, "workers": 1}
METHODS = ("laplace", "nuts")
TELL_SECONDS = 10.0
COLUMNS = ("simulation", "method", "pareto_k", "failed")  # of ranks.csv, before those of the quantities

FitModel = Callable[..., Fit]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Simulation:
    """One simulated data set, fitted and ranked.

    Attributes
    ----------
    number : its place in the experiment, from 0
    method : what the draws are from: "nuts" too where laplace's weights could not be trusted
    pareto_k : of the importance weights, NaN for "nuts"
    failed : diagnostics of the fit beyond their limit; it is ranked all the same
    ranks : by quantity, 0 to the number of draws
    """

    number: int
    method: str
    pareto_k: float
    failed: tuple[str, ...]
    ranks: Mapping[str, int]


@dataclass(frozen=True)
class Calibration:
    """Ranks of all simulations of an experiment, with their tests of uniformity."""

    experiment: Experiment
    simulations: tuple[Simulation, ...]

    @property
    def quantities(self) -> tuple[str, ...]:
        """What was ranked: parameters, the log likelihood of the data, and the model's forecasts."""
        return tuple(self.simulations[0].ranks)

    @property
    def level(self) -> float:
        """Level of each test: 5 % divided by the number of quantities."""
        return LEVEL / len(self.quantities)

    @property
    def escalated(self) -> int:
        """Simulations in which NUTS took over from laplace."""
        return sum(s.method != self.experiment.method for s in self.simulations)

    @property
    def uniform(self) -> bool:
        """Whether no test of any quantity rejects."""
        return bool(self.to_pandas()["uniform"].all())

    def ranks(self, quantity: str) -> IntArray:
        """Ranks of one quantity, shape (simulations,)."""
        return np.array([s.ranks[quantity] for s in self.simulations])

    def failed(self) -> dict[str, int]:
        """Simulations in which each diagnostic of the fit was beyond its limit."""
        keys = [key for s in self.simulations for key in s.failed]
        return {key: keys.count(key) for key in dict.fromkeys(keys)}

    def to_pandas(self) -> "pd.DataFrame":
        """A frame by quantity: chi_square_p, ecdf_p, mean_rank, spread, uniform.

        mean_rank is .5 if right, more if the posterior is too low; spread is 1 if right, more if the posterior
        is too narrow.
        """
        import pandas as pd

        rows = {quantity: self._row(self.ranks(quantity)) for quantity in self.quantities}
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = "quantity"
        return frame.assign(uniform=(frame[["chi_square_p", "ecdf_p"]] > self.level).all(axis=1))

    def table(self) -> str:
        """The tests as text, for a terminal."""
        of, frame = self.experiment, self.to_pandas()
        failed = "".join(f"; check {key} failed in {count}" for key, count in self.failed().items())
        odd = ", ".join(frame.index[~frame["uniform"]])
        return (
            f"{of.model} by {of.method}: ranks among {of.draws} draws in {len(self.simulations):,} simulations of "
            f"{of.customers:,} customers, seed {of.seed}\n"
            f"NUTS took over in {self.escalated}{failed}\n"
            f"{frame.to_string(float_format='{:.4f}'.format)}\n"
            f"each test at {self.level:.4f} (5 % over {len(frame)} quantities): "
        ) + (f"NOT uniform: {odd}" if odd else "all uniform")

    def _row(self, ranks: IntArray) -> dict[str, float]:
        draws = self.experiment.draws
        share = (ranks + 0.5) / (draws + 1)
        return {
            "chi_square_p": chi_square_p(ranks, draws),
            "ecdf_p": ecdf_p(ranks, draws),
            "mean_rank": float(share.mean()),
            "spread": float(np.sqrt(12 * np.mean((share - 0.5) ** 2))),
        }


def silent(_: str) -> None:
    """Tell nobody."""


def default_ages(model: str) -> tuple[float, ...]:
    """Ages for a calibration, in weeks; fewer for retention, where a renewal is due every week.

    Raises
    ------
    FitError
        If the model is unknown.
    """
    return RENEWALS if model_named(model).family == "retention" else AGES


def default_horizon(model: str) -> float:
    """Horizon of forecasts for a calibration, in weeks.

    Raises
    ------
    FitError
        If the model is unknown.
    """
    return HORIZON_RENEWALS if model_named(model).family == "retention" else HORIZON


def default_priors(model: str, *, T: Sequence[float] | None = None) -> dict[str, ParameterPrior]:
    """Priors for a calibration: the medians of the model's own at a fixed scale, and narrower.

    The scale is a third of the mean age and 30 units of money: it is not taken from data, as the default priors
    of a fit are. With 100 customers or more, every data set from these can be fitted.

    Parameters
    ----------
    T : ages of the customers; `default_ages` if not given

    Raises
    ------
    FitError
        If the model is unknown or an age is not above 0.
    """
    ages = default_ages(model) if T is None else _ages(T)
    scale = DataScale(time=float(np.mean(ages)) / 3, money=MONEY)
    priors = {p.name: p.default_prior(scale) for p in model_named(model).parameters}
    return {name: prior if isinstance(prior, OneOf) else replace(prior, sd=PRIOR_SD) for name, prior in priors.items()}


def run_sbc(
    model: str,
    *,
    simulations: int,
    customers: int,
    T: Sequence[float],
    priors: Mapping[str, ParameterPrior],
    method: str,
    seed: int,
    horizon: float = HORIZON,
    clock: RetentionClock | None = None,
    draws: int = 999,
    output: str | Path | None = None,
    workers: int | None = None,
    tell: Tell = silent,
) -> Calibration:
    """Simulation-based calibration of a model's fits.

    Parameters
    ----------
    model : registry name
    simulations : number of data sets; 1,000 find a posterior sd that is 20 % wrong, 100 a gross fault only
    customers : in each data set
    T : ages of the customers, in weeks, given to them in turn; a spend model does not read them. For a model of
        retention relations are seen up to them, one in three only from a third of them on
    priors : of every parameter; drawn from and fitted with
    method : "laplace" or "nuts"
    seed : of the random numbers; simulation i has the same ones whichever others are run
    horizon : of forecasts, in weeks
    clock : of the tables of a model of retention, "renewals" (one a week) or "continuous"; the model's own if not given
    draws : posterior draws that a true value is ranked among; with 999 the 20 bins are equal
    output : folder that gets setting.json and ranks.csv, one line a simulation as it is finished; what is there
        of the same setting is not run again
    workers : processes; as many as there are processors if not given
    tell : gets a line of progress now and then

    Raises
    ------
    FitError
        If an argument cannot be, or a data set cannot be fitted: none is left out.
    DataError
        If the seed cannot be.
    StudyError
        If the folder holds ranks of another setting or damaged files, or cannot be written.

    Notes
    -----
    With more than one worker, a script must call this below `if __name__ == "__main__":`.
    """
    record = _model_with_story(model, method)
    simulations = _count("simulations", simulations)
    workers = _count("workers", (os.cpu_count() or 1) if workers is None else workers)
    experiment = Experiment(
        model=model,
        customers=_count("customers", customers),
        T=_ages(T, whole=_clock(record, clock) == "renewals"),
        horizon=_length("horizon", horizon),
        priors=_priors(record, priors),
        method=method,
        draws=_count("draws", draws),
        seed=require_seed(seed),
        clock=_clock(record, clock),
    )
    if output is None:
        with closing(_simulations(experiment, range(simulations), workers)) as made:
            return Calibration(experiment, tuple(_told(made, 0, simulations, tell)))
    with _ranks_file(experiment, Path(output)) as file:
        held = _read(file, experiment)[:simulations]
        _cut_half_line(file)
        with closing(_simulations(experiment, range(len(held), simulations), workers)) as made:
            for simulation in _told(made, len(held), simulations, tell):
                _append(file, simulation)
                held.append(simulation)
    return Calibration(experiment, tuple(held))


def read_calibration(folder: str | Path) -> Calibration:
    """The calibration that `run_sbc` left in a folder, as far as it came.

    Raises
    ------
    StudyError
        If there is none, or a file of it is damaged.
    """
    try:
        experiment = _read_setting(Path(folder) / "setting.json")
        with (Path(folder) / "ranks.csv").open("rb") as file:
            return Calibration(experiment, tuple(_read(file, experiment)))
    except OSError as problem:
        raise StudyError(f"{folder} holds no calibration ({problem}).") from None


def simulate_and_rank(experiment: Experiment, number: int, *, fit_model: FitModel = fit) -> Simulation:
    """Simulation `number`: a true value of every parameter, customers, a fit, and ranks.

    Parameters
    ----------
    fit_model : called as `clvmodels.fit`

    Raises
    ------
    FitError
        If the data set cannot be fitted.
    """
    rng = np.random.default_rng([experiment.seed, number])
    truth = model_named(experiment.model).drawn_from(experiment.priors, rng)
    try:
        customers = simulated_customers(experiment, truth, rng)
        fitted = _fit_to_rank(experiment, customers, int(rng.integers(2**32)), fit_model)
        values = quantities(experiment, _with_truth(fitted, truth, experiment.draws), customers)
    except (DataError, FitError) as problem:
        at = ", ".join(f"{name} = {value:.3g}" for name, value in truth.items())
        raise FitError(
            f"simulation {number} of seed {experiment.seed} ({experiment.model} at {at}): {problem} "
            "No data set may be left out of a calibration: give narrower priors or more customers."
        ) from None
    return Simulation(
        number=number,
        method=fitted.method,
        pareto_k=fitted.pareto_k,
        failed=tuple(check.key for check in fitted.checks if not check.passed),
        ranks={quantity: rank_of_first(values, rng) for quantity, values in values.items()},
    )


def _fit_to_rank(experiment: Experiment, customers: Customers, seed: int, fit_model: FitModel) -> Fit:
    """A fit with as many independent draws as are to be ranked; a chain is made longer until it has them."""

    def fitted_by(method: str, draws: int) -> Fit:
        return fit_model(experiment.model, customers, method=method, draws=draws, seed=seed, priors=experiment.priors)

    draws = experiment.draws * (SPARE if experiment.method == "nuts" else 1)
    fitted = fitted_by(experiment.method, draws)
    for _ in range(REFITS):
        if fitted.method == "laplace":
            return fitted
        worth = effective_size(fitted, customers)
        if worth >= experiment.draws:
            return fitted
        draws = int(draws * max(2.0, 1.5 * experiment.draws / worth))
        fitted = fitted_by("nuts", draws)
    raise FitError(f"{draws} draws of NUTS are worth fewer than {experiment.draws} independent ones.")


def effective_size(fitted: Fit, customers: Customers) -> float:
    """Independent draws that a chain is worth, the least over parameters and the log likelihood of the data."""
    shape = (fitted.draws.sizes["chain"], fitted.draws.sizes["draw"])
    likelihood = log_likelihood_of(fitted, customers).reshape(shape)
    chains = [*(column.reshape(shape) for column in fitted.columns().values()), likelihood]
    return min(ess(values, kind) for values in chains for kind in ("bulk", "tail"))


def _with_truth(fitted: Fit, truth: Mapping[str, float], draws: int) -> Fit:
    """The fit with the true values as its first draw, before `draws` of its own, evenly spaced.

    Its checks are laid aside: a data set is ranked whatever they say.
    """
    chosen = np.arange(draws) * fitted.n_draws // draws
    columns = {
        name: np.concatenate([[truth[name]], values[chosen, 0]])[None] for name, values in fitted.columns().items()
    }
    return replace(fitted, draws=dataset_of(columns), checks=())


def _simulations(experiment: Experiment, numbers: Iterable[int], workers: int) -> Generator[Simulation]:
    """Simulations in the order of their numbers, from one process or several.

    It must be closed: an interrupt would else wait, at the end of the process, for every simulation asked for.
    """
    if workers == 1:
        yield from map(partial(simulate_and_rank, experiment), numbers)
        return
    try:
        with ProcessPoolExecutor(workers, get_context("spawn"), _follow_parent) as pool:
            yield from pool.map(partial(simulate_and_rank, experiment), numbers)
    except BrokenProcessPool:
        raise FitError("a process of the calibration was killed, perhaps for its memory: use fewer workers.") from None


def _follow_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that one is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(parent_process(),), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _told(made: Iterable[Simulation], held: int, total: int, tell: Tell) -> Iterator[Simulation]:
    """The simulations, with a line of progress at most every ten seconds and at the end.

    The clock starts when the first is finished: before it the workers start, which takes seconds.
    """
    start = last = float("nan")
    escalated = 0
    for done, simulation in enumerate(made, start=1):
        yield simulation
        now = time.monotonic()
        if done == 1:
            start = last = now
        escalated += not np.isfinite(simulation.pareto_k)
        if now - last < TELL_SECONDS and held + done < total:
            continue
        left = (now - start) / max(done - 1, 1) * (total - held - done)
        tell(f"{held + done:,} of {total:,} simulations, {escalated} by NUTS; about {left:.0f} s left")
        last = now


def _model_with_story(name: str, method: str) -> Model:
    """The model, if it can be calibrated by that method."""
    model = model_named(name)
    if method not in METHODS:
        raise FitError(f'method = "{method}": a calibration needs a posterior, "laplace" or "nuts".')
    if model.simulate is None:
        raise FitError(f"{model.name} has no story to simulate from.")
    return model


def _clock(model: Model, given: RetentionClock | None) -> RetentionClock | Literal[""]:
    """The clock of the tables of a model of retention, "" for other models."""
    if model.family != "retention":
        if given is not None:
            raise FitError(f'clock = "{given}": it is of tables of retention, and {model.name} reads none.')
        return ""
    own: RetentionClock = "continuous" if model.clock == "continuous" else "renewals"
    if given not in (None, "renewals", own):
        raise FitError(f'clock = "{given}": {model.name} counts renewals, expected "renewals".')
    return given or own


def _count(name: str, value: int) -> int:
    return require_count(name, value, least=FEWEST[name])


def _length(name: str, value: float) -> float:
    is_number = is_whole(value) or isinstance(value, float | np.floating)
    if not (is_number and np.isfinite(value) and value > 0):
        raise FitError(f"{name} = {value!r}: expected a length of time above 0, in weeks.")
    return float(value)


def _ages(T: Sequence[float], *, whole: bool = False) -> tuple[float, ...]:
    try:
        ages = tuple(T)
    except TypeError:  # one number, or none
        ages = ()
    if not ages:
        raise FitError(f"T = {T!r}: expected ages of customers in weeks, such as (12.0, 52.0).")
    lengths = tuple(_length("T", age) for age in ages)
    if whole and any(age % 1 for age in lengths):
        raise FitError(f"T = {T!r}: expected whole numbers of renewals.")
    return lengths


def _priors(model: Model, given: Mapping[str, ParameterPrior]) -> dict[str, ParameterPrior]:
    """The priors given, one of each parameter."""
    priors = priors_for(model, DataScale(), Effects(), given)
    if set(given) != set(priors):
        raise FitError(
            f"priors for {', '.join(given) or 'nothing'}: a calibration of {model.name} draws {', '.join(priors)}, "
            "each from its prior."
        )
    return {parameter.name: given[parameter.name] for parameter in model.parameters}


def _ranks_file(experiment: Experiment, folder: Path) -> IO[bytes]:
    """ranks.csv, open and locked, beside a setting.json that is this experiment's.

    Raises
    ------
    StudyError
        If the folder holds another setting or a damaged one, is being written by another run, or cannot be written.
    """
    with ExitStack() as opened:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = opened.enter_context((folder / "ranks.csv").open("a+b"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _hold_setting(experiment, folder / "setting.json", is_new=file.tell() == 0)
        except BlockingIOError:
            raise StudyError(f"{folder}: another run writes there now.") from None
        except OSError as problem:
            raise StudyError(f"{folder} cannot be written ({problem.strerror}).") from None
        opened.pop_all()  # all is well: it stays open
    return file


def _hold_setting(experiment: Experiment, path: Path, *, is_new: bool) -> None:
    """Write the setting if there is none, else see that it is the same; an older one has fewer keys."""
    priors = {name: prior_to_dict(prior) for name, prior in experiment.priors.items()}
    setting = (json.dumps({**asdict(experiment), "priors": priors}, indent=1) + "\n").encode()
    if not path.exists():
        if not is_new:
            raise StudyError(f"{path.parent / 'ranks.csv'} holds ranks, but {path} is missing: choose another folder.")
        partial = path.with_name("setting.json.partial")  # so that a kill leaves no half of a setting
        partial.write_bytes(setting)
        partial.replace(path)
    if _read_setting(path) != experiment:
        raise StudyError(f"{path.parent} holds ranks of another setting (see {path}): choose another folder.")


def _read_setting(path: Path) -> Experiment:
    content = path.read_bytes()
    try:
        setting = json.loads(content)
        priors = {name: prior_from(**prior) for name, prior in setting["priors"].items()}
        return Experiment(**{**setting, "T": tuple(setting["T"]), "priors": priors})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StudyError(f"{path} is empty or damaged: put back what it was, or choose another folder.") from None


def _append(file: IO[bytes], simulation: Simulation) -> None:
    """One line more, on disk before the next."""
    fixed = {"simulation": simulation.number, "method": simulation.method, "pareto_k": repr(simulation.pareto_k)}
    row = {**fixed, "failed": " ".join(simulation.failed), **simulation.ranks}
    line = io.StringIO()
    writer = csv.DictWriter(line, row, lineterminator="\n")
    if file.tell() == 0:
        writer.writeheader()
    writer.writerow(row)
    file.write(line.getvalue().encode())
    file.flush()
    os.fsync(file.fileno())


def _cut_half_line(file: IO[bytes]) -> None:
    """Leave the file at the end of its last whole line: a kill may have cut off the next."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)


def _read(file: IO[bytes], experiment: Experiment) -> list[Simulation]:
    """Simulations 0, 1, 2, ... of a file, up to its last whole line.

    Raises
    ------
    StudyError
        If a line is broken, or is of another simulation than the one that is due; by file and line.
    """
    file.seek(0)
    header, *lines = file.read().decode(errors="replace").split("\n")[:-1] or [""]
    model = model_named(experiment.model)
    names = [*COLUMNS, *quantity_names(model)]
    if header and header.split(",") != names:
        raise StudyError(f"{file.name}, line 1: expected the columns {', '.join(names)}.")
    held = []
    for number, line in enumerate(lines):
        try:
            held.append(_simulation_of(line.split(","), names, due=number, draws=experiment.draws))
        except ValueError as problem:
            raise StudyError(
                f"{file.name}, line {number + 2}: {problem}. Put the line back, or cut the file off before it."
            ) from None
    return held


def _simulation_of(values: list[str], names: list[str], *, due: int, draws: int) -> Simulation:
    if len(values) != len(names):
        raise ValueError(f"{len(values)} columns where there are {len(names)}")
    number, method, pareto_k, failed, *ranks = values
    if int(number) != due:
        raise ValueError(f"simulation {number} where {due} is due")
    if method not in METHODS:
        raise ValueError(f"no method {method!r}")
    odd = [rank for rank in ranks if not 0 <= int(rank) <= draws]
    if odd:
        raise ValueError(f"a rank among {draws} draws is {odd[0]}")
    return Simulation(
        number=due,
        method=method,
        pareto_k=float(pareto_k),
        failed=tuple(failed.split()),
        ranks=dict(zip(names[len(COLUMNS) :], map(int, ranks), strict=True)),
    )
