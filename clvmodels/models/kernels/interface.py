"""What a kernel offers: the types of its functions, which the loops over customers take as arguments.

A purchase kernel has

    start(stream, theta, history, state)
        Read one customer's history (frequency, recency, T) and set `state`.
    next_purchase(stream, theta, state, horizon) -> time
        Time of the next purchase, counted from T; infinite if there is none up to the horizon. It is
        not called again after that.

and a spend kernel, whose history is (frequency, monetary_value),

    start(stream, theta, history, state)
    next_amount(stream, theta, state) -> amount
        Value of the next purchase.

A purchase kernel may also have

    tick(stream, theta, state, reach) -> time
        The same on the clock of purchases, on which a rate that is multiplied is another pace and nothing else: the
        time of the next purchase of a customer who is alive at T and never leaves, infinite beyond `reach`. Beside it
        `state` has the number and the urn by which the customer leaves after the purchase before: see `changes`.

so that futures which differ in rate and chance to leave share what is drawn.

A spend kernel finds the state of the purchase kernel, once the first purchase is drawn, in its own `state`
when it starts: spend may depend on the rates of the same future. It may overwrite it.

`CHANGES` of a purchase kernel names what of its story may be changed from T on: see `changes`.

`theta` has the parameters in the paper's order, shape (P,). `state` is the kernel's own memory, shape
(STATE,): nobody else reads or writes it between two calls, but for the last two places of a purchase kernel's, which
its loop has set before `start` and which stay as they are. A latent rate, or a time of death, that a
model draws once for a customer is drawn in `start`, or when first needed, and kept there.
"""

from numba import types

from clvmodels.foundation.streams import Stream

STATE = 16

F64 = types.float64
ROW = types.Array(F64, 1, "C")
START = types.void(Stream, ROW, ROW, ROW)
NEXT_PURCHASE = F64(Stream, ROW, ROW, F64)
NEXT_AMOUNT = F64(Stream, ROW, ROW)
