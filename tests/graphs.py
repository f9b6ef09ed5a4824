"""Graphs of PyTensor in tests."""

from typing import Any


def as_written() -> Any:
    """A mode that works a graph out as it is written: compiling takes ten seconds, and the sampler's tests do that."""
    from pytensor.compile.mode import Mode  # seconds to import

    return Mode(linker="py", optimizer=None)
