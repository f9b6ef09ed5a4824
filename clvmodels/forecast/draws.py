"""A table of rows and draws that is never whole in memory: parts of it are made when asked for.

What the first pass made is kept for replays without its zeros, as long as it stays small: most draws of
most customers are zero. Beyond that a replay makes it again.

Blocks of rows have a fixed size and a canonical order, and each part of the table is the same whichever
way it is asked for. So means, quantiles and totals are the same bits for any order of the customers and
any number of threads.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clvmodels.foundation.patterns import FloatArray, IntArray
from clvmodels.foundation.records import DrawBlock, Forecast, Replay
from clvmodels.foundation.retention import Customers

BLOCK = 128  # rows: with 2,000 draws of three quantities 6 MB; the totals' rounding depends on it
BLOCK_CELLS = 2**18  # values that a thread makes at a time in a replay
REPLAY_CELLS = 2**22  # values in a block that a replay hands out: 32 MB
TOGETHER = 8192  # customers whose classes a thread counts at a time, so that their counts stay in the cache
UNPACKED_TOGETHER = 32  # parts in which threads unpack the blocks of a replay
LEAST_DRAWS = 16  # in a block of draws that a replay hands out: 128 MB of 1,000,000 customers
KEPT_BYTES = 2**31  # held for replays at the most: 2 GB

Make = Callable[[IntArray, slice], FloatArray]
First = Callable[[IntArray], tuple[FloatArray, FloatArray | float]]


@dataclass(frozen=True)
class DrawTable:
    """Draws of one or more quantities for rows that stand for one customer or for several alike.

    Attributes
    ----------
    make : (rows, draws) -> ndarray, shape (quantities, rows, draws)
    row_of : ndarray, shape (N,), the row of each customer in the caller's order
    n_customers : ndarray, shape (R,), customers that a row stands for
    chains : number of chains and of draws in each
    kept_bytes : most to hold for replays
    kept : places of the quantities that are held, if they fit; a replay makes the others again. By default all
    """

    make: Make
    row_of: IntArray
    n_customers: FloatArray
    chains: tuple[int, int]
    kept_bytes: int = KEPT_BYTES
    kept: tuple[int, ...] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows R."""
        return len(self.n_customers)

    @property
    def n_draws(self) -> int:
        """Number of draws S."""
        return self.chains[0] * self.chains[1]


def forecasts_of(
    table: DrawTable,
    customers: Customers,
    *,
    quantities: Sequence[str],
    method: str,
    horizon: float,
    start: float = 0.0,
) -> tuple[Forecast, ...]:
    """One forecast for each quantity of the table, from a single pass over it."""

    def alone(rows: IntArray) -> tuple[FloatArray, float]:
        return table.make(rows, slice(0, table.n_draws)), 0.0

    return forecasts_and_sums(
        table, alone, customers, quantities=quantities, method=method, horizon=horizon, start=start
    )[0]


def forecasts_and_sums(
    table: DrawTable,
    first: First,
    customers: Customers,
    *,
    quantities: Sequence[str],
    method: str,
    horizon: float,
    start: float = 0.0,
) -> tuple[tuple[Forecast, ...], FloatArray]:
    """The forecasts of a table, and sums over its rows that the same pass has made beside it.

    Parameters
    ----------
    first : rows -> all draws of them, as `table.make` gives them, and what they add to the sums
    """
    import xarray as xr

    statistics, totals, kept, sums = _summarise(table, first)
    forecasts = tuple(
        Forecast(
            quantity=quantity,
            method=method,
            customer_id=customers.customer_id,
            mean=of_rows[0][table.row_of],
            sd=of_rows[1][table.row_of],
            q05=of_rows[2][table.row_of],
            q50=of_rows[3][table.row_of],
            q95=of_rows[4][table.row_of],
            totals=xr.DataArray(total.reshape(table.chains), dims=("chain", "draw"), name=quantity),
            start=start,
            horizon=horizon,
            unit=customers.unit,
            currency=customers.currency,
            replay=_replay(table, place, kept),
        )
        for place, (quantity, of_rows, total) in enumerate(zip(quantities, statistics, totals, strict=True))
    )
    return forecasts, sums


def over_blocks[Result](n_rows: int, work: Callable[[IntArray], Result], *, size: int) -> Iterator[Result]:
    """Results of `work` on each block of `size` rows, in order; threads share the blocks."""
    blocks = [np.arange(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]
    if len(blocks) == 1:
        yield work(blocks[0])
        return
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from threads.map(work, blocks)


def by_draw(forecast: Forecast) -> Iterator[FloatArray]:
    """Some draws of all customers at a time, shape (D, N), each draw's in one piece of memory."""
    assert forecast.replay is not None  # the caller has asked
    for block in forecast.replay("draws"):
        yield np.ascontiguousarray(block.values.T)


def each_draw[Result](values: FloatArray, work: Callable[[FloatArray], Result]) -> list[Result]:
    """Results of `work` on each draw of (D, N), a copy of its values; threads share the draws."""
    return list(over_blocks(len(values), lambda draw: work(values[draw[0]].copy()), size=1))


def over_customers(n_customers: int, work: Callable[[int, int], None]) -> None:
    """Do `work` on the customers from the first to the last of each block; threads share the blocks."""
    for _ in over_blocks(n_customers, lambda rows: work(int(rows[0]), int(rows[-1]) + 1), size=TOGETHER):
        pass


def sums_by_segment(
    forecast: Forecast, segmentations: Sequence[tuple[IntArray, int]], *, slope: FloatArray | None = None
) -> tuple[list[FloatArray], FloatArray]:
    """Sums over the customers of each segment, shape (G, S) of each segmentation, and of slope x value, shape (S,).

    One pass for all. Customers are added in their order, so that no sum depends on threads or other segmentations.

    Parameters
    ----------
    segmentations : the place of each customer's segment, shape (N,), -1 for none, and the number of segments G
    slope : ndarray, shape (N,), by default 0
    """
    from clvmodels.forecast.draw_kernels import add_segments

    codes = np.stack([of_customers for of_customers, _ in segmentations], axis=1).astype(np.int32)
    slopes, largest = np.zeros(len(codes)) if slope is None else slope, max(size for _, size in segmentations)

    def work(draw: FloatArray) -> tuple[FloatArray, FloatArray]:
        sums, sloped = np.zeros((1, codes.shape[1], largest)), np.zeros(1)
        add_segments(draw[None], codes, slopes, sums, sloped)
        return sums, sloped

    parts = [part for values in by_draw(forecast) for part in each_draw(values, work)]
    sums, sloped = (np.concatenate(column) for column in zip(*parts, strict=True))
    by_segment = np.ascontiguousarray(np.moveaxis(sums, 0, 2))
    return [own[:size] for own, (_, size) in zip(by_segment, segmentations, strict=True)], sloped


def group_totals(
    n_rows: int, group: IntArray, make: Callable[[IntArray], NDArray[Any]], *, size: int = BLOCK
) -> FloatArray:
    """Sums over the rows of each group, shape (G, ...), of what `make` gives for some rows, shape (rows, ...).

    Parameters
    ----------
    group : ndarray, shape (R,), the group of each row, 0 to G - 1; rows of a group stand together
    """
    groups: dict[int, NDArray[Any]] = {}

    def work(rows: IntArray) -> tuple[IntArray, NDArray[Any]]:
        present, first = np.unique(group[rows], return_index=True)
        return present, np.add.reduceat(make(rows), first, axis=0)

    for present, sums in over_blocks(n_rows, work, size=size):
        for place, total in zip(present.tolist(), sums, strict=True):
            groups[place] = groups[place] + total if place in groups else total
    return np.stack([groups[place] for place in sorted(groups)]).astype(np.float64)


@dataclass(frozen=True)
class _Packed:
    """A block of rows without its zeros, draw after draw: some draws of it are found without a look at the others.

    Attributes
    ----------
    n_rows : number of rows R
    begin : ndarray, shape (S + 1,), where each draw begins
    row : ndarray, shape (Z,), of each place where some quantity is not zero
    values : of each quantity that is kept, by its place, an ndarray, shape (Z,); whole numbers take a quarter of the
        memory
    """

    n_rows: int
    begin: IntArray
    row: NDArray[np.uint8]
    values: dict[int, NDArray[Any]]

    @classmethod
    def of(cls, values: FloatArray, kept: tuple[int, ...] | None) -> "_Packed":
        """Pack values, shape (quantities, rows, draws): all quantities, or those at some places."""
        n_rows, n_draws = values.shape[1:]
        places = range(len(values)) if kept is None else kept
        some = np.any([values[place] != 0 for place in places], axis=0)
        draw, row = np.divmod(np.flatnonzero(some.T.ravel()), n_rows)
        at = row * n_draws + draw
        begin = np.append(0, np.cumsum(some.sum(axis=0)))
        held = {place: _narrow(values[place].ravel()[at]) for place in places}
        return cls(n_rows, begin, row.astype(np.uint8), held)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.begin.nbytes + self.row.nbytes + sum(each.nbytes for each in self.values.values())

    def unpack(self, place: int, draws: slice, *, columns: IntArray, by_draw: FloatArray) -> None:
        """Write one quantity at some draws into `by_draw`, shape (draws, K), which is zero.

        Parameters
        ----------
        columns : ndarray, shape (R,), the column of each row; -1 for one that is not asked for
        """
        from clvmodels.forecast.draw_kernels import unpack

        unpack(self.begin, self.row, self.values[place], draws.start, columns, by_draw)


def _narrow(values: FloatArray) -> NDArray[Any]:
    """The same numbers in two bytes each, if they are whole and small enough."""
    with np.errstate(invalid="ignore"):  # what does not fit is found out below
        whole = values.astype(np.uint16)
    return whole if np.array_equal(whole, values) else values


def _summarise(table: DrawTable, first: First) -> tuple[FloatArray, FloatArray, list[_Packed], FloatArray]:
    """Mean, sd and quantiles, shape (quantities, 5, R); totals, shape (quantities, S); the blocks, packed; the sums.

    No blocks are handed out where together they exceed the table's `kept_bytes`.
    """
    room = True

    def work(rows: IntArray) -> tuple[FloatArray, FloatArray, _Packed | None, FloatArray | float]:
        values, beside = first(rows)
        packed = _Packed.of(values, table.kept) if room else None  # before the statistics sort the draws
        totals = (values * table.n_customers[rows, None]).sum(axis=1)
        return row_statistics(values), totals, packed, beside

    statistics, kept, held = [], [], 0
    totals: FloatArray | float = 0.0
    sums: FloatArray | float = 0.0
    for of_rows, of_block, packed, beside in over_blocks(table.n_rows, work, size=BLOCK):
        statistics.append(of_rows)
        totals, sums = totals + of_block, sums + beside
        if room and packed is not None:
            kept.append(packed)
            held += packed.nbytes
            room = held <= table.kept_bytes
        if not room:
            kept.clear()
    return np.concatenate(statistics, axis=-1), np.asarray(totals), kept, np.asarray(sums)


def row_statistics(values: FloatArray) -> FloatArray:
    """Mean, sd, q05, q50, q95 of each row: shape (..., K, S) to (..., 5, K). Sorts `values` in place.

    A quantile is the least value with that share of the draws at or below it, so that counts stay
    whole. One draw is no distribution: its sd and quantiles are NaN.
    """
    n_draws = values.shape[-1]
    mean = values.mean(axis=-1)
    if n_draws == 1:
        return np.stack([mean] + 4 * [np.full_like(mean, np.nan)], axis=-2)
    with np.errstate(invalid="ignore"):  # infinite expectations have no sd
        sd = values.std(axis=-1, ddof=1)
    values.sort(axis=-1)
    q05, q50, q95 = (values[..., -(-n_draws * twentieths // 20) - 1] for twentieths in (1, 10, 19))
    return np.stack([mean, sd, q05, q50, q95], axis=-2)


def _replay(table: DrawTable, place: int, kept: list[_Packed]) -> Replay:
    """The replay of one quantity of the table, from the blocks kept if they have it."""
    n_customers = len(table.row_of)
    blocks = kept if table.kept is None or place in table.kept else []

    def by_customers() -> Iterator[DrawBlock]:
        everything = slice(0, table.n_draws)
        size = max(1, REPLAY_CELLS // table.n_draws)
        for first in range(0, n_customers, size):
            rows, back = np.unique(table.row_of[first : first + size], return_inverse=True)
            block = slice(first, first + len(back))
            yield DrawBlock(block, everything, rows_at(rows, everything)[back])

    def by_draws() -> Iterator[DrawBlock]:
        size = max(LEAST_DRAWS, REPLAY_CELLS // n_customers)
        for first in range(0, table.n_draws, size):
            draws = slice(first, min(first + size, table.n_draws))
            yield DrawBlock(slice(0, n_customers), draws, all_at(draws).T)

    def rows_at(rows: IntArray, draws: slice) -> FloatArray:
        if not blocks:
            return _made(table, place, rows, draws)
        columns = np.full(table.n_rows, -1)
        columns[rows] = np.arange(len(rows))
        return np.ascontiguousarray(_unpacked(blocks, place, columns, draws, size=len(rows)).T)

    def all_at(draws: slice) -> FloatArray:
        """Some draws of all customers, shape (draws, N)."""
        rows = np.arange(table.n_rows)
        if blocks and table.n_rows == n_customers:  # a row a customer, in another order
            columns = np.empty_like(rows)
            columns[table.row_of] = rows
            return _unpacked(blocks, place, columns, draws, size=n_customers)
        by_draw = rows_at(rows, draws).T
        return np.take(by_draw, table.row_of, axis=1)

    def replay(order: str) -> Iterator[DrawBlock]:
        return {"customers": by_customers, "draws": by_draws}[order]()

    return replay


def _unpacked(kept: list[_Packed], place: int, columns: IntArray, draws: slice, *, size: int) -> FloatArray:
    """One quantity of some rows at some draws from the blocks kept, shape (draws, size).

    Parameters
    ----------
    columns : ndarray, shape (R,), where each row goes; -1 for one that is not asked for
    """
    by_draw = np.zeros((draws.stop - draws.start, size))
    asked = np.maximum.reduceat(columns, np.arange(0, len(columns), BLOCK)) >= 0

    def work(some: IntArray) -> None:
        for block in some[asked[some]]:
            own = columns[block * BLOCK : (block + 1) * BLOCK]
            kept[block].unpack(place, draws, columns=own, by_draw=by_draw)

    for _ in over_blocks(len(kept), work, size=max(1, -(-len(kept) // UNPACKED_TOGETHER))):
        pass  # each block has columns of its own
    return by_draw


def _made(table: DrawTable, place: int, rows: IntArray, draws: slice) -> FloatArray:
    """One quantity of some rows at some draws, made block by block, shape (rows, draws)."""
    size = max(BLOCK, BLOCK_CELLS // (draws.stop - draws.start))
    parts = over_blocks(len(rows), lambda block: table.make(rows[block], draws)[place], size=size)
    return np.concatenate(list(parts))
