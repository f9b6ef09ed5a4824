"""Fits on disk: netCDF with draws as variables and everything else as JSON, never code."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xarray as xr

from clvmodels.foundation.calendar import Timetable
from clvmodels.foundation.effects import Effects
from clvmodels.foundation.errors import FitError, LimitError
from clvmodels.foundation.files import whole
from clvmodels.foundation.limits import DRAWS, stated, too_much
from clvmodels.foundation.model import Model
from clvmodels.foundation.priors import prior_from, prior_to_dict
from clvmodels.foundation.results import Check
from clvmodels.inference.fitting import on_baskets
from clvmodels.inference.result import Fit
from clvmodels.models import JOINT, model_named

FORMAT = "clvmodels-fit-2"


def save_fit(fit: Fit, path: Path) -> None:
    """Write the fit; the file appears whole or not at all."""
    description = {
        "format": FORMAT,
        "model": fit.model.name,
        "baskets": fit.model.baskets,
        "method": fit.method,
        "point": fit.point,
        "log_likelihood": fit.log_likelihood,
        "covariance": fit.covariance.tolist(),
        "unit": fit.unit,
        "currency": fit.currency,
        "n_customers": fit.n_customers,
        "n_patterns": fit.n_patterns,
        "priors": {name: prior_to_dict(prior) for name, prior in fit.priors.items()},
        "timetable": msgspec.to_builtins(fit.model.timetable),
        "effects": msgspec.to_builtins(fit.effects),
        "checks": [asdict(check) for check in fit.checks],
        "allowed": list(fit.allowed),
        "pareto_k": fit.pareto_k,
        "effective_draws": fit.effective_draws,
        "notes": list(fit.notes),
    }
    stored = fit.draws.assign_attrs(clvmodels=json.dumps(description))
    compression = {name: {"zlib": True, "complevel": 1} for name in fit.draws.data_vars}
    # in memory first: where a disk is full the HDF5 library ends the process (tests/faults/test_full_disk.py)
    file = io.BytesIO()
    stored.to_netcdf(file, engine="h5netcdf", encoding=compression)
    with whole(path, error=FitError) as partial:
        partial.write_bytes(file.getvalue())


def _model(name: str, timetable: object, baskets: str) -> Model:
    """The model of that name, on the calendar and the baskets that it was fitted with."""
    model = JOINT.get(name) or on_baskets(model_named(name), baskets)
    if timetable is None:
        return model
    assert model.on_calendar is not None
    return model.on_calendar(msgspec.convert(timetable, Timetable))


def _effects(stored: dict[str, Any]) -> Effects:
    """The effects of a fit; before there could be several grouping columns a file had one as it is."""
    groups = {name: [columns] if isinstance(columns, str) else columns for name, columns in stored["groups"].items()}
    return msgspec.convert({**stored, "groups": groups}, Effects)


def _require_draws(path: str | Path, stored: xr.Dataset) -> None:
    """Refuse what is no draws, or would be large in memory, before it is there: a shape costs a file nothing."""
    for name, values in stored.data_vars.items():  # coordinates may be names of columns and categories
        if values.dtype.kind not in "fiu":
            raise FitError(f"{path} is not a fit that clvmodels saved ({name} holds no numbers).")
    if stored.nbytes > stated(DRAWS):
        raise FitError(too_much(path, DRAWS))


def load_fit(path: str | Path) -> Fit:
    """The fit that `Fit.save` wrote.

    Raises
    ------
    FitError
        If the file is missing or is not such a fit.
    """
    try:
        with xr.open_dataset(Path(path), engine="h5netcdf", phony_dims="access") as stored:
            _require_draws(path, stored)
            draws = stored.load()
        return _fit(path, draws, json.loads(draws.attrs.pop("clvmodels")))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file.") from None
    except (FitError, LimitError):
        raise
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError) as problem:
        raise FitError(f"{path} is not a fit that clvmodels saved ({problem}).") from None


def _fit(path: str | Path, draws: xr.Dataset, description: dict[str, Any]) -> Fit:
    if description["format"] != FORMAT:
        raise FitError(f"{path} has the format {description['format']!r}; this version reads {FORMAT!r}.")
    description.pop("format")
    timetable = description.pop("timetable", None)
    baskets = description.pop("baskets", "repeat")
    return Fit(
        **{
            **description,
            "model": _model(description["model"], timetable, baskets),
            "draws": draws,
            "covariance": np.array(description["covariance"]),
            "priors": {name: prior_from(**prior) for name, prior in description["priors"].items()},
            "effects": _effects(description["effects"]),
            "checks": tuple(Check(**check) for check in description["checks"]),
            "allowed": tuple(description["allowed"]),
            "notes": tuple(description["notes"]),
        }
    )
