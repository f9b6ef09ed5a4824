"""Options of the fault suite, the studies that it disturbs, and a record of what it has done."""

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faults.runs import Server
from tests.faults.small import prepared

MEMORY = Path("/dev/shm")
KILLS, FULL_KILLS, KILLS_A_TEST = 6, 300, 30


def pytest_addoption(parser):
    group = parser.getgroup("faults")
    group.addoption("--full", action="store_true", help="all faults, many times (about 90 minutes on two processors)")
    group.addoption("--kills", type=int, help=f"random kills ({KILLS}, with --full {FULL_KILLS})")
    group.addoption("--seed", type=int, default=1, help="of the random moments (1)")
    group.addoption("--record", type=Path, help="file that gets a line of JSON for each kind of fault")


def pytest_collection_modifyitems(config, items):
    """Mark the tests of this folder, and leave out those of the full suite before a study is made ready for them."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kills)
            if "only_full" in item.fixturenames and not is_full(config):
                item.add_marker(pytest.mark.skip(reason="only with --full"))


def pytest_generate_tests(metafunc):
    """Random kills in portions, for several processes to share."""
    if "portion" in metafunc.fixturenames:
        kills = metafunc.config.getoption("kills", None) or (FULL_KILLS if is_full(metafunc.config) else KILLS)
        sizes = [min(KILLS_A_TEST, kills - done) for done in range(0, kills, KILLS_A_TEST)]
        metafunc.parametrize("portion", list(enumerate(sizes)), ids=[f"{i}-of-{size}" for i, size in enumerate(sizes)])


def is_full(config):
    return bool(config.getoption("full", False))


@pytest.fixture(scope="session")
def full(pytestconfig):
    return is_full(pytestconfig)


@pytest.fixture
def only_full():
    """Asked for by tests that are left out without --full."""


@pytest.fixture
def rng(pytestconfig, request):
    return np.random.default_rng([pytestconfig.getoption("seed", 1), *request.node.name.encode()])


@pytest.fixture(scope="session")
def place():
    """A folder in memory, where there is one."""
    if sys.platform != "linux":
        pytest.skip("processes are watched through /proc and pidfd_open")
    folder = Path(tempfile.mkdtemp(prefix="clvmodels-faults-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(place):
    (place / "logs").mkdir()
    server = Server(place / "logs")
    yield server
    server.close()


@pytest.fixture(scope="session")
def shop(server, place):
    return prepared("shop", server, place)


@pytest.fixture(scope="session")
def club(server, place):
    return prepared("club", server, place)


@pytest.fixture
def small(request):
    """A study by its name: made ready when a test first asks for it."""
    return request.getfixturevalue


@pytest.fixture
def output(place):
    """A folder for reports, not there yet."""
    yield place / "reports"
    shutil.rmtree(place / "reports", ignore_errors=True)


@dataclass(frozen=True)
class Recorder:
    path: Path | None

    def __call__(self, fault, how, *, runs, identical, torn=0):
        """Note what a test has held: runs that were disturbed, torn reports seen, reports bit-identical at the end."""
        if self.path is not None:
            line = {"fault": fault, "how": how, "runs": runs, "torn": torn, "identical": identical}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


@pytest.fixture
def record(pytestconfig):
    return Recorder(pytestconfig.getoption("record", None))
