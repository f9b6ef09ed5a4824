"""Random numbers by counter: any number of any stream is reached at once, in any order, on any thread.

A stream belongs to (seed, customer, draw, purpose). It is Philox4x32-10 of [1]_ in counter mode: the
seed is the key, and the counter is made of the customer's key (64 bits), the draw (32 bits), the
purpose (4 bits) and the block within the stream (28 bits). So no stream depends on which other
customers are drawn, nor on slice size, row order, threads or engine.

References
----------
.. [1] Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11,
   doi 10.1145/2063384.2063405.
.. [2] Marsaglia and Tsang (2000), A simple method for generating gamma variables, ACM TOMS 26(3),
   doi 10.1145/358407.358414.
.. [3] Hoermann (1993), The generation of binomial random variates, Journal of Statistical Computation and
   Simulation 46, algorithm BTRS, doi 10.1080/00949659308811496.
"""

import hashlib
import math
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from clvmodels.foundation.records import IdArray

PURCHASES, SPEND, STAYING, OTHERS, CHANGED = range(5)  # purposes: what a stream is for

STREAM = np.dtype(
    {"names": ["seed", "customer", "draw", "block", "has_spare", "spare"], "formats": 5 * ["u8"] + ["f8"]}
)
Stream = numba.from_dtype(STREAM)

U64, I64, F64 = types.uint64, types.int64, types.float64
LOW = np.uint64(0xFFFFFFFF)
HALF_WORD, PURPOSE_SHIFT = np.uint64(32), np.uint64(28)
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # multipliers of Philox4x32
W0, W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)  # key increments: golden ratio, sqrt(3) - 1
HIGH_20 = np.uint64(12)  # leaves 20 of 32 bits
FEW = 10.0  # from here on the hat of the rejection is one
ONE, NONE = np.uint64(1), np.uint64(0)


def customer_keys(customer_id: IdArray) -> NDArray[np.uint64]:
    """Keys of customers: BLAKE2b of the id's UTF-8 bytes, 8-byte digest, little-endian. Shape (N,).

    RFC 7693 defines the hash, so that any language gives the same keys. Among a million customers two
    share a key, and with it their random numbers, with a chance of 3 in 100 million.
    """
    digests = [hashlib.blake2b(value.encode(), digest_size=8).digest() for value in customer_id]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def stream_memory() -> NDArray[np.void]:
    """Memory for two streams, which `open_stream` sets; one for each thread. Shape (2,)."""
    return np.zeros(2, dtype=STREAM)


@numba.njit(types.UniTuple(U64, 4)(U64, U64, U64, U64, U64, U64), cache=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four random words of 32 bits from counter (c0, c1, c2, c3) and key (k0, k1), in ten rounds of [1]_."""
    for _ in range(10):
        product0, product1 = M0 * c0, M1 * c2
        c0, c2 = (product1 >> HALF_WORD) ^ c1 ^ k0, (product0 >> HALF_WORD) ^ c3 ^ k1
        c1, c3 = product1 & LOW, product0 & LOW
        k0, k1 = (k0 + W0) & LOW, (k1 + W1) & LOW
    return c0, c1, c2, c3


@numba.njit(types.void(Stream, U64, U64, U64, U64), cache=True)
def open_stream(stream: Any, seed: Any, customer: Any, draw: Any, purpose: Any) -> None:
    """Set the stream to its beginning."""
    stream.seed, stream.customer, stream.draw = seed, customer, draw
    stream.block = purpose << PURPOSE_SHIFT
    stream.has_spare = NONE


@numba.njit(F64(U64, U64), cache=True)
def _open_unit(high: Any, low: Any) -> Any:
    """A uniform number from 52 of 64 bits: an odd multiple of 2^-53, so never 0 and never 1."""
    return (np.float64(((high >> HIGH_20) << HALF_WORD) | low) + 0.5) * 2.0**-52


@numba.njit(F64(Stream), cache=True)
def uniform(stream: Any) -> Any:
    """The stream's next number, uniform on (0, 1)."""
    if stream.has_spare != NONE:
        stream.has_spare = NONE
        return stream.spare
    w0, w1, w2, w3 = philox(
        stream.customer & LOW,
        stream.customer >> HALF_WORD,
        stream.draw,
        stream.block,
        stream.seed & LOW,
        stream.seed >> HALF_WORD,
    )
    stream.block += ONE
    stream.spare, stream.has_spare = _open_unit(w2, w3), ONE
    return _open_unit(w0, w1)


@numba.njit(F64(Stream), cache=True)
def normal(stream: Any) -> Any:
    """A standard normal number: Box and Muller's, its second number not used."""
    radius = math.sqrt(-2.0 * math.log(uniform(stream)))
    return radius * math.cos(2.0 * math.pi * uniform(stream))


@numba.njit(F64(Stream, F64), cache=True)
def log_gamma(stream: Any, shape: Any) -> Any:
    """The logarithm of a Gamma(shape, rate 1) number, by the squeeze of [2]_.

    In logs a small shape loses nothing: at shape 0.02 one number in a million lies below the least float.
    """
    boost = 0.0
    if shape < 1.0:  # Gamma(k) = Gamma(k + 1) U^(1 / k)
        boost = math.log(uniform(stream)) / shape
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        z = normal(stream)
        if 1.0 + c * z <= 0.0:
            continue
        v = (1.0 + c * z) ** 3
        u = uniform(stream)
        # the squeeze spares the logarithms in 98 % of cases
        if u < 1.0 - 0.0331 * z**4 or math.log(u) < 0.5 * z * z + d * (1.0 - v + math.log(v)):
            return math.log(d * v) + boost


@numba.njit(F64(Stream, F64), cache=True)
def log_gamma_aside(stream: Any, shape: Any) -> Any:
    """A `log_gamma` number from the stream of purpose `CHANGED` beside this one, which goes on where it was."""
    block, has_spare, spare = stream.block, stream.has_spare, stream.spare
    stream.block, stream.has_spare = np.uint64(CHANGED) << PURPOSE_SHIFT, NONE
    value = log_gamma(stream, shape)
    stream.block, stream.has_spare, stream.spare = block, has_spare, spare
    return value


@numba.njit(I64(Stream, I64, F64), cache=True)
def _inverted(stream: Any, n: Any, p: Any) -> Any:
    """The number of which a uniform one is the distribution function, found from 0 upwards."""
    u = uniform(stream)
    chance = math.exp(n * math.log1p(-p))
    k = 0
    while u > chance and k < n:
        u -= chance
        k += 1
        chance *= (n - k + 1) / k * p / (1.0 - p)
    return k


@numba.njit(I64(Stream, I64, F64), cache=True)
def _binomial(stream: Any, n: Any, p: Any) -> Any:
    """The number for p of 1/2 at the most."""
    if not n * p >= FEW:  # also where p is no number: the rejection would never end
        return _inverted(stream, n, p)
    q = 1.0 - p
    spread = math.sqrt(n * p * q)
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    mode = math.floor((n + 1) * p)
    top = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0)
    while True:
        u, v = uniform(stream) - 0.5, uniform(stream)
        side = 0.5 - abs(u)
        k = math.floor((2.0 * a / side + b) * u + n * p + 0.5)
        if side >= 0.07 and v <= 0.92 - 4.2 / b:  # inside the hat's square: no logarithms
            return k
        if k < 0 or k > n:
            continue
        hat = v * (2.83 + 5.1 / b) * spread / (a / (side * side) + b)
        if math.log(hat) <= top - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0) + (k - mode) * math.log(p / q):
            return k


@numba.njit(I64(Stream, I64, F64), cache=True)
def binomial(stream: Any, n: Any, p: Any) -> Any:
    """A Binomial(n, p) number: by the transformed rejection of [3]_, or where few are expected by inversion."""
    if p > 0.5:
        return n - _binomial(stream, n, 1.0 - p)
    return _binomial(stream, n, p)
