"""Customers whose spend goes with their purchase rate to a stated elasticity, and their later purchases."""

import numpy as np

import clvmodels as clv
from clvmodels.foundation.events import purchase_columns, spend_columns
from clvmodels.models import MODELS

RATES = {"r": 0.5, "alpha": 6.0, "s": 0.6, "beta": 12.0}  # of the Pareto/NBD
AMOUNTS = {
    "gamma_gamma": {"p": 6.0, "q": 4.0, "v": 15.0},
    "gamma_gamma_transactions": {"p": 3.0, "q": 4.0, "v": 30.0},
    "lognormal_spend": {"m": 27.0, "sigma": 0.56, "tau": 0.47},
}
LATER = 20  # purchases of each customer that nobody has seen yet


def spenders(name, elasticity, *, size, seed):
    """A summary with first baskets, and the mean of each customer's later purchases, shape (size,).

    A customer of rate lambda has a scale of spend that is multiplied by lambda^c, c the elasticity.
    """
    rng = np.random.default_rng(seed)
    rate = rng.gamma(RATES["r"], 1 / RATES["alpha"], size)
    age = rng.uniform(26.0, 39.0, size)
    active = np.minimum(rng.exponential(1.0, size) / rng.gamma(RATES["s"], 1 / RATES["beta"], size), age)
    bought = rng.poisson(rate * active)
    buyer = np.repeat(np.arange(size), bought)
    money = "m" if name == "lognormal_spend" else "v"
    own = {letter: np.full(size, value) for letter, value in AMOUNTS[name].items()}
    own[money] *= (rate / 0.05) ** elasticity
    purchases = 1 + bought + LATER
    amounts = MODELS[name].simulate(rng, own, purchases.astype(float))
    who = np.repeat(np.arange(size), purchases)
    place = np.arange(len(amounts)) - np.repeat(np.cumsum(purchases) - purchases, purchases)
    repeat, later = (place > 0) & (place <= bought[who]), place > bought[who]
    customers = clv.CustomerSummary(
        customer_id=np.array([f"c{i}" for i in range(size)], dtype=object),
        T=age,
        **purchase_columns(buyer, rng.uniform(0, active[buyer]), size),
        **spend_columns(buyer, amounts[repeat], size),
        first_amount=amounts[place == 0],
        current_value=np.full(size, np.nan),
        unit="week",
        currency="USD",
    )
    return customers, np.bincount(who[later], weights=amounts[later], minlength=size) / LATER
