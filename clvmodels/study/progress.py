"""Named steps with their time and memory, told to whoever is watching."""

import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

Tell = Callable[[str], None]


def silent(_: str) -> None:
    """Tell nobody."""


def to_stderr(line: str) -> None:
    """Tell the terminal, at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Step:
    """A finished step: wall seconds, and the most memory that the process had held by its end."""

    name: str
    seconds: float
    megabytes: float


@dataclass
class Steps:
    """Steps of a run in order. `total` is how many there will be, once that is known."""

    total: int
    tell: Tell
    done: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Announce a step by its text, run it, and note what it cost under its name; without a text, only run it."""
        if not text:
            yield
            return
        of = f"/{self.total}" if self.total else ""
        self.tell(f"[{len(self.done) + 1}{of}] {text} ...")
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.done.append(Step(name, round(seconds, 3), round(peak, 1)))
        self.tell(f"      {seconds:.1f} s")


# `seed_for` in words, for a manifest.
SEEDS = (
    "Each thing that is drawn has a seed of its own: the first 64-bit word of "
    "numpy.random.SeedSequence([seed, zlib.crc32(name)]), where name says what is drawn, such as 'decision forecast' "
    "or 'bootstrap'. The order of work does not enter it."
)


def seed_for(seed: int, unit: str) -> int:
    """The seed of one unit of work: from the study's seed and the unit's name, not from the order of work; `SEEDS`."""
    state = np.random.SeedSequence([seed, zlib.crc32(unit.encode())]).generate_state(1, np.uint64)
    return int(state[0])
