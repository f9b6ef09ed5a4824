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
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from clvmodels.evaluation.ranks import chi_square_p, ecdf_p, rank_of_first
from clvmodels.forecast import predict, simulate
from clvmodels.foundation.errors import DataError, FitError, StudyError
from clvmodels.foundation.model import DataScale, Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.priors import LogNormal
from clvmodels.foundation.records import CustomerSummary
from clvmodels.inference import fit
from clvmodels.inference.diagnostics import ess
from clvmodels.inference.likelihood import fitted_patterns
from clvmodels.inference.result import Fit, dataset_of
from clvmodels.models import model_named

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

AGES = (12.0, 22.0, 32.0, 42.0, 52.0)  # weeks
HORIZON = 39.0
MONEY = 30.0  # typical spend of a purchase
PRIOR_SD = 0.4  # of the log: wide enough for very different bases, without one that nobody could fit
LEVEL = 0.05  # shared out over the quantities
SPARE = 4  # NUTS draws for each one that is ranked
REFITS = 4
FEWEST = {"simulations": 20, "customers": 10, "draws": 19}
TELL_SECONDS = 10.0

FitModel = Callable[..., Fit]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """What is simulated, how it is fitted, and what is ranked among how many draws.

    Attributes
    ----------
    model : registry name
    customers : in each simulated base
    T : ages, in weeks, given to the customers in turn
    horizon : of expected purchases, in weeks
    priors : the true parameters are drawn from these, and the fit has the same
    method : "laplace" or "nuts"
    draws : posterior draws that a true value is ranked among
    seed : of everything, with the simulation's number
    """

    model: str
    customers: int
    T: tuple[float, ...]
    horizon: float
    priors: Mapping[str, LogNormal]
    method: str
    draws: int
    seed: int


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


def default_priors(model: str, *, T: Sequence[float] = AGES) -> dict[str, LogNormal]:
    """Priors for a calibration: the medians of the model's own at a fixed scale, and narrower.

    The scale is a third of the mean age and 30 units of money: it is not taken from data, as the default priors
    of a fit are. With 100 customers or more, every data set from these can be fitted.
    """
    scale = DataScale(time=float(np.mean(T)) / 3, money=MONEY)
    return {p.name: LogNormal(p.default_prior(scale).median, PRIOR_SD) for p in model_named(model).parameters}


def run_sbc(
    model: str,
    *,
    simulations: int,
    customers: int,
    T: Sequence[float],
    priors: Mapping[str, LogNormal],
    method: str,
    seed: int,
    horizon: float = HORIZON,
    draws: int = 999,
    output: str | Path | None = None,
    workers: int | None = None,
    tell: Tell = silent,
) -> Calibration:
    """Simulation-based calibration of a model's fits.

    Parameters
    ----------
    model : registry name of a purchase or spend model
    simulations : number of data sets; 1,000 find a posterior sd that is 20 % wrong, 100 a gross fault only
    customers : in each data set
    T : ages of the customers, in weeks, given to them in turn; a spend model does not read them
    priors : of every parameter; drawn from and fitted with
    method : "laplace" or "nuts"
    seed : of the random numbers; simulation i has the same ones whichever others are run
    horizon : of expected purchases, in weeks
    draws : posterior draws that a true value is ranked among; with 999 the 20 bins are equal
    output : folder that gets setting.json and ranks.csv, one line a simulation as it is finished; what is there
        of the same setting is not run again
    workers : processes; as many as there are processors if not given
    tell : gets a line of progress now and then

    Raises
    ------
    FitError
        If an argument cannot be, or a data set cannot be fitted: none is left out.
    StudyError
        If the folder holds ranks of another setting or cannot be written.

    Notes
    -----
    With more than one worker, a script must call this below `if __name__ == "__main__":`.
    """
    experiment = Experiment(model, customers, tuple(map(float, T)), float(horizon), dict(priors), method, draws, seed)
    workers = (os.cpu_count() or 1) if workers is None else workers
    _refuse(experiment, simulations, workers)
    if output is None:
        with closing(_simulations(experiment, range(simulations), workers)) as made:
            return Calibration(experiment, tuple(_told(made, 0, simulations, tell)))
    with _ranks_file(experiment, Path(output)) as file:
        held = _read(file)[:simulations]
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
        If there is none.
    """
    try:
        setting = json.loads((Path(folder) / "setting.json").read_text(encoding="utf-8"))
        with (Path(folder) / "ranks.csv").open("rb") as file:
            held = _read(file)
    except (OSError, ValueError) as problem:
        raise StudyError(f"{folder} holds no calibration ({problem}).") from None
    priors = {name: LogNormal(**prior) for name, prior in setting["priors"].items()}
    return Calibration(Experiment(**{**setting, "T": tuple(setting["T"]), "priors": priors}), tuple(held))


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
    truth = {name: float(prior.median * np.exp(prior.sd * rng.normal())) for name, prior in experiment.priors.items()}
    try:
        customers = simulated_customers(experiment, truth, rng)
        fitted = _fit_to_rank(experiment, customers, int(rng.integers(2**32)), fit_model)
        values = _quantities(experiment, _with_truth(fitted, truth, experiment.draws), customers)
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


def simulated_customers(
    experiment: Experiment, truth: Mapping[str, float], rng: np.random.Generator
) -> CustomerSummary:
    """A base of customers from the model's story: in continuous time, each seen up to its age."""
    model, size = model_named(experiment.model), experiment.customers
    if model.family == "purchases":
        T = np.resize(experiment.T, size)
        seed = int(rng.integers(2**32))
        return simulate(model.name, truth, T=T, size=size, seed=seed, horizon=experiment.horizon)[0]
    assert model.simulate is not None
    frequency = rng.geometric(0.4, size).astype(np.float64)
    return _spenders(frequency, model.simulate(rng, truth, frequency))


def _spenders(frequency: FloatArray, monetary_value: FloatArray) -> CustomerSummary:
    """Customers of whom repeat purchases and their mean spend matter, and nothing else."""
    size = len(frequency)
    age, unknown = np.full(size, max(AGES)), np.full(size, np.nan)
    return CustomerSummary(
        customer_id=np.array([str(i) for i in range(size)], dtype=object),
        frequency=frequency,
        recency=np.where(frequency > 0, age, 0.0),
        T=age,
        monetary_value=monetary_value,
        first_amount=unknown,
        current_value=unknown,
        unit="week",
        currency="USD",
    )


def _fit_to_rank(experiment: Experiment, customers: CustomerSummary, seed: int, fit_model: FitModel) -> Fit:
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


def effective_size(fitted: Fit, customers: CustomerSummary) -> float:
    """Independent draws that a chain is worth, the least over parameters and the log likelihood of the data."""
    shape = (fitted.draws.sizes["chain"], fitted.draws.sizes["draw"])
    likelihood = _log_likelihood(fitted, customers).reshape(shape)
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


def _quantities(experiment: Experiment, ranked: Fit, customers: CustomerSummary) -> dict[str, FloatArray]:
    """Values at the truth and at each draw, shape (1 + L,), of every quantity that the model has."""
    values = {name: column[:, 0] for name, column in ranked.columns().items()}
    values["log_likelihood"] = _log_likelihood(ranked, customers)
    worth = "expected_purchases" if ranked.model.family == "purchases" else "expected_spend"
    fixed = _fixed_customer(ranked.model, experiment)
    bases = {"p_alive": ("p_alive", customers), worth: (worth, customers), f"{worth}_of_one": (worth, fixed)}
    offered = {name: of for name, of in bases.items() if of[0] in ranked.model.quantities}
    return values | {name: _totals(experiment, ranked, *of) for name, of in offered.items()}


def _totals(experiment: Experiment, ranked: Fit, quantity: str, customers: CustomerSummary) -> FloatArray:
    """Sum of a forecast over customers, at the truth and at each draw, shape (1 + L,)."""
    horizon = experiment.horizon if quantity == "expected_purchases" else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", f"{quantity} is infinite")  # such values have their rank, too
        return predict(ranked, customers, quantity=quantity, horizon=horizon).total_draws


def _log_likelihood(fitted: Fit, customers: CustomerSummary) -> FloatArray:
    """Log likelihood of the data at each draw, shape (S,)."""
    return fitted_patterns(fitted, customers).totals()


def _fixed_customer(model: Model, experiment: Experiment) -> CustomerSummary:
    """A customer who is the same in all simulations: three repeats, the last at .6 of the greatest age."""
    one = _spenders(np.array([3.0]), np.array([MONEY]))
    if model.family == "spend":
        return one
    age = np.array([max(experiment.T)])
    return replace(one, T=age, recency=0.6 * age)


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
    """The simulations, with a line of progress at most every ten seconds and at the end."""
    start = last = time.monotonic()
    escalated = 0
    for done, simulation in enumerate(made, start=1):
        yield simulation
        now = time.monotonic()
        escalated += not np.isfinite(simulation.pareto_k)
        if now - last < TELL_SECONDS and held + done < total:
            continue
        left = (now - start) / done * (total - held - done)
        tell(f"{held + done:,} of {total:,} simulations, {escalated} by NUTS; about {left:.0f} s left")
        last = now


def _refuse(experiment: Experiment, simulations: int, workers: int) -> None:
    """Refuse what would fail after long work."""
    model = model_named(experiment.model)
    if experiment.method not in ("laplace", "nuts"):
        raise FitError(f'method = "{experiment.method}": a calibration needs a posterior, "laplace" or "nuts".')
    if model.simulate is None or model.family not in ("purchases", "spend"):
        raise FitError(f"{model.name} has no story to simulate purchases or spend from.")
    if set(experiment.priors) != set(model.parameter_names):
        raise FitError(
            f"priors for {', '.join(experiment.priors) or 'nothing'}: a calibration of {model.name} draws "
            f"{', '.join(model.parameter_names)}, each from its prior."
        )
    if not experiment.T or not np.all(np.isfinite([*experiment.T, experiment.horizon])) or min(experiment.T) <= 0:
        raise FitError(f"T = {experiment.T}, horizon = {experiment.horizon}: expected lengths of time above 0.")
    sizes = {"simulations": simulations, "customers": experiment.customers, "draws": experiment.draws}
    for name, least in FEWEST.items():
        if not sizes[name] >= least:
            raise FitError(f"{name} = {sizes[name]}: expected {least} or more.")
    if workers < 1 or not 0 <= experiment.seed < 2**64:
        raise FitError(
            f"workers = {workers}, seed = {experiment.seed}: expected workers >= 1, seed from 0 to 2^64 - 1."
        )


def _ranks_file(experiment: Experiment, folder: Path) -> IO[bytes]:
    """ranks.csv, open and locked, beside a setting.json that is this experiment's.

    Raises
    ------
    StudyError
        If the folder holds another setting, is being written by another run, or cannot be written.
    """
    setting = json.dumps(asdict(experiment), indent=1) + "\n"
    path = folder / "setting.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "ranks.csv").open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():
            path.write_text(setting, encoding="utf-8")
        held = path.read_text(encoding="utf-8")
    except BlockingIOError:
        raise StudyError(f"{folder}: another run writes there now.") from None
    except OSError as problem:
        raise StudyError(f"{folder} cannot be written ({problem.strerror}).") from None
    if held != setting:
        file.close()
        raise StudyError(f"{folder} holds ranks of another setting (see {path}): choose another folder.")
    return file


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


def _read(file: IO[bytes]) -> list[Simulation]:
    """Simulations in a file, which is left at the end of its last whole line; half a line was cut off by a kill."""
    file.seek(0)
    content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        file.truncate(len(whole))
        file.seek(len(whole))
    rows = csv.DictReader(io.StringIO(whole.decode()))
    return [_simulation_of(row) for row in rows]


def _simulation_of(row: dict[str, str]) -> Simulation:
    fixed = {name: row.pop(name) for name in ("simulation", "method", "pareto_k", "failed")}
    return Simulation(
        number=int(fixed["simulation"]),
        method=fixed["method"],
        pareto_k=float(fixed["pareto_k"]),
        failed=tuple(fixed["failed"].split()),
        ranks={quantity: int(rank) for quantity, rank in row.items()},
    )
