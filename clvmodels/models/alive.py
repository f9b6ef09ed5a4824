"""Customers who are alive or gone: what every model with drop-out makes of its own two halves.

A model says how likely a customer is alive at T, and what one who is alive does. A customer who is gone
buys nothing more. A new customer is one with x = t_x = T = 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clvmodels.foundation.model import Draws, Formula
from clvmodels.foundation.patterns import FloatArray, IntArray


@dataclass(frozen=True)
class AliveOrGone:
    """The formulas of a model, from those of a customer who is alive.

    What such a customer does depends on frequency and T alone, and the formulas `if_alive` have these two
    arguments; or, where the timing is regular, on recency too, and they have all three.

    Attributes
    ----------
    p_alive : f(parameters, frequency, recency, T) -> P(alive at T)
    survival_if_alive : f(parameters, frequency, T, horizon) -> P(alive at T + t | alive at T)
    purchases_if_alive : f(parameters, frequency, T, horizon) -> E[purchases in (T, T + t] | alive at T]
    pmf_if_alive : f(parameters, frequency, T, purchases, horizon) -> P(X(T, T + t) = k | alive at T)
    dert_if_alive : f(parameters, frequency, T, discount) -> DERT of a customer who is alive at T
    curve_if_alive : f(parameters, frequency, T, times) -> `purchases_if_alive` at each of some times, with a first
        axis for them; None where they are not faster together
    reads_recency : whether the formulas if alive have the arguments frequency, recency, T
    """

    p_alive: Formula
    survival_if_alive: Formula
    purchases_if_alive: Formula
    pmf_if_alive: Formula
    dert_if_alive: Formula
    curve_if_alive: Formula | None = None
    reads_recency: bool = False

    def p_alive_after(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, horizon: Any
    ) -> FloatArray:
        """P(alive at T + t | x, t_x, T): alive at T, and still so a time t later without being seen."""
        alive = self.p_alive(parameters, frequency, recency, T)
        return alive * self.survival_if_alive(parameters, *self._past(frequency, recency, T), horizon)

    def expected_purchases(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, horizon: Any
    ) -> FloatArray:
        """E[purchases in (T, T + t] | x, t_x, T] = P(alive) E[purchases | alive]."""
        alive = self.p_alive(parameters, frequency, recency, T)
        return alive * self.purchases_if_alive(parameters, *self._past(frequency, recency, T), horizon)

    def expected_purchases_new(self, parameters: Draws, horizon: Any) -> FloatArray:
        """E[purchases in (0, t]] of a new customer: the first purchase is not counted."""
        none = np.zeros(np.shape(horizon))
        return self.expected_purchases(parameters, none, none, none, horizon)

    def conditional_purchase_pmf(
        self,
        parameters: Draws,
        frequency: FloatArray,
        recency: FloatArray,
        T: FloatArray,
        purchases: IntArray,
        horizon: Any,
    ) -> FloatArray:
        """P(X(T, T + t) = k | x, t_x, T), all arguments broadcast."""
        alive = self.p_alive(parameters, frequency, recency, T)
        if_alive = self.pmf_if_alive(parameters, *self._past(frequency, recency, T), purchases, horizon)
        return alive * if_alive + np.where(np.asarray(purchases) == 0, 1 - alive, 0.0)

    def purchase_pmf(self, parameters: Draws, purchases: IntArray, horizon: Any) -> FloatArray:
        """P(X(t) = k) of a new customer."""
        none = np.zeros(())
        return self.conditional_purchase_pmf(parameters, none, none, none, purchases, horizon)

    def dert(
        self, parameters: Draws, frequency: FloatArray, recency: FloatArray, T: FloatArray, discount: float
    ) -> FloatArray:
        """Discounted expected residual transactions, int_0^inf exp(-d t) dCE(t).

        Purchases after T, each worth exp(-d t) at its time t after T, without end. Infinite where there is no
        end to them: at d below 0, and at d = 0 in part.

        Parameters
        ----------
        discount : continuous rate d per unit of time
        """
        alive = self.p_alive(parameters, frequency, recency, T)
        return if_alive_or_nothing(alive, self.dert_if_alive(parameters, *self._past(frequency, recency, T), discount))

    def _past(self, frequency: FloatArray, recency: FloatArray, T: FloatArray) -> tuple[FloatArray, ...]:
        """What the formulas if alive read of a customer."""
        return (frequency, recency, T) if self.reads_recency else (frequency, T)

    @property
    def formulas(self) -> dict[str, Formula]:
        """What a `Model` of purchases offers, by name."""
        return {
            "p_alive": self.p_alive,
            "p_alive_after": self.p_alive_after,
            "expected_purchases": self.expected_purchases,
            "expected_purchases_new": self.expected_purchases_new,
            "purchase_pmf": self.purchase_pmf,
            "conditional_purchase_pmf": self.conditional_purchase_pmf,
            "dert": self.dert,
            **({} if self.reads_recency else self._formulas_if_alive),
        }

    @property
    def _formulas_if_alive(self) -> dict[str, Formula]:
        """Those that forecasts work out once for customers of one frequency and T, where recency does not enter."""
        curve = {} if self.curve_if_alive is None else {"curve_if_alive": self.curve_if_alive}
        return {
            "survival_if_alive": self.survival_if_alive,
            "purchases_if_alive": self.purchases_if_alive,
            "pmf_if_alive": self.pmf_if_alive,
            "dert_if_alive": self.dert_if_alive,
            **curve,
        }


def if_alive_or_nothing(p_alive: FloatArray, if_alive: FloatArray) -> FloatArray:
    """P(alive) times what to expect of one who is alive; 0 where nobody is, though it were infinite."""
    nothing = np.zeros(np.broadcast_shapes(p_alive.shape, if_alive.shape))
    return np.multiply(p_alive, if_alive, out=nothing, where=p_alive > 0)
