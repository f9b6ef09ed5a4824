"""A purchase log made up by the stories of two models: for checks that need days and rows, not summaries."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from clvmodels.forecast.simulate import Amounts, purchase_story, spend_story
from clvmodels.foundation.errors import DataError, FitError
from clvmodels.foundation.model import Model
from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import as_date
from clvmodels.foundation.units import days_per_unit
from clvmodels.foundation.whole import require_count, require_seed
from clvmodels.inference.result import require_values

if TYPE_CHECKING:  # slow to import and only named here
    import pandas as pd

BLOCK = 512  # customers told at a time, always so many: a customer is the same in a log of 10 and of 10,000
ARRIVALS, PURCHASES, AMOUNTS = 0, 1, 2  # what a block's random numbers are for

Rows = tuple[IntArray, IntArray, FloatArray]  # customer's number from 0, day from the log's first, amount


def simulate_log(
    purchases: str,
    spend: str,
    *,
    parameters: Mapping[str, float],
    spend_parameters: Mapping[str, float],
    customers: int,
    first_day: str | dt.date,
    acquisition_days: int,
    days: int,
    unit: str = "week",
    currency: str = "USD",
    seed: int,
) -> "pd.DataFrame":
    """Purchases of customers who come on any of the first days, buy by one model and spend by another.

    Parameters
    ----------
    purchases, spend : registry names, of a purchase model in continuous time and of a spend model
    parameters, spend_parameters : of the two, by the paper's letters; times in `unit`
    customers : number of customers
    first_day : the log's first day
    acquisition_days : first purchases are on any of so many first days, each as likely as another
    days : of the log, `first_day` among them; at least `acquisition_days`
    unit : of time, "day", "week", "month" or "year"
    currency : of the amounts, kept in the frame's `attrs`
    seed : 0 to 2^64 - 1

    Returns
    -------
    DataFrame
        A row a purchase, customer by customer and day by day: customer_id (text), date, amount. It reads by
        `read_transactions(frame)`. A customer is the same whatever the number of customers.

    Raises
    ------
    FitError
        If a model is unknown, of the other family, without a story or counts opportunities, a parameter is missing,
        unknown or cannot have that value, or a number of customers or days cannot be.
    DataError
        If the day, the unit or the seed cannot be.

    Notes
    -----
    A purchase t units after the first is on the day in which t ends, day ceil(t days): so a customer of age T in whole
    days has the purchases of the model up to T, as with `simulate`. Several purchases on one day are several rows, and
    one occasion to `read_transactions`, as in a shop: where customers buy many times a week, the log's summary has
    fewer purchases than the model told.
    """
    model = purchase_story(purchases)
    if model.clock != "continuous":
        raise FitError(f"{purchases} counts opportunities: a log needs a model of purchases at any time, as bg_nbd.")
    values = require_values(dict(parameters), model)
    spender = spend_story(spend, spend_parameters)
    begin = as_date(first_day, "first_day")
    _require_days(begin, customers, acquisition_days, days)
    blocks = _blocks((model, values), spender, customers, (acquisition_days, days), days_per_unit(unit), seed)
    customer, day, amount = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
    frame = _frame(customer, np.datetime64(begin) + day, amount)
    frame.attrs["currency"] = currency
    return frame


def _require_days(begin: dt.date, customers: int, acquisition_days: int, days: int) -> None:
    require_count("customers", customers)
    require_count("acquisition_days", acquisition_days)
    require_count("days", days, least=acquisition_days)
    if days > (dt.date.max - begin).days:
        raise DataError(f"days = {days}: from {begin} there are {(dt.date.max - begin).days} until the calendar ends.")


def _blocks(
    purchases: tuple[Model, Mapping[str, float]],
    spender: Amounts,
    customers: int,
    days: tuple[int, int],
    per_unit: float,
    seed: int,
) -> Iterator[Rows]:
    """The rows of each block of customers; of the last those of the customers that are asked for."""
    require_seed(seed)
    for block, first in enumerate(range(0, customers, BLOCK)):
        streams = [np.random.default_rng([seed, block, part]) for part in (ARRIVALS, PURCHASES, AMOUNTS)]
        came = streams[ARRIVALS].integers(days[0], size=BLOCK)
        buyer, day = _days_of(purchases, streams[PURCHASES], came, days[1] - 1, per_unit)
        amount = spender(streams[AMOUNTS], frequency=np.bincount(buyer, minlength=BLOCK).astype(np.float64))
        asked = first + buyer < customers
        yield first + buyer[asked], day[asked], amount[asked]


def _days_of(
    purchases: tuple[Model, Mapping[str, float]],
    rng: np.random.Generator,
    came: IntArray,
    last: int,
    per_unit: float,
) -> tuple[IntArray, IntArray]:
    """Buyer and day of every purchase, the first ones too, customer by customer in the order of time."""
    model, values = purchases
    assert model.simulate is not None  # `purchase_story` has refused models without a story
    repeater, time = model.simulate(rng, values, (last - came) / per_unit)
    # a time next to the end may round to beyond it
    later = np.minimum(came[repeater] + np.ceil(time * per_unit).astype(np.int64), last)
    buyer = np.concatenate([np.arange(len(came)), repeater])
    day = np.concatenate([came, later])
    order = np.lexsort((day, buyer))
    return buyer[order], day[order]


def _frame(customer: IntArray, date: np.ndarray, amount: FloatArray) -> "pd.DataFrame":
    import pandas as pd

    ids = np.array([f"{number + 1:07d}" for number in range(int(customer.max()) + 1)], dtype=object)
    return pd.DataFrame({"customer_id": ids[customer], "date": date.astype("datetime64[s]"), "amount": amount})
