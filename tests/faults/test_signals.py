"""Runs that are asked to end: they do at once, with their children, and say how to go on."""

import signal
import time

import pytest

from tests.faults.folders import renewed, require_finished, require_whole
from tests.faults.runs import start_program, until

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
AT_ONCE = 5.0  # seconds
RUNS, FULL_RUNS = 2, 15


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_run_that_is_asked_to_end_does_so_and_says_how_to_go_on(studies, output, rng, number, times, full, record):
    """Fails without a handler for the signal, or where a second one ends the run in the middle of its clearing up."""
    ended = 0
    for _ in range(FULL_RUNS if full else RUNS):
        study = studies["shop" if rng.random() < 0.6 else "club"]
        renewed(output, study.before)
        run = study.server.start(study.arguments(output))
        until(lambda run=run: run.said())
        if run.ended_within(rng.uniform(0, 0.9 * study.seconds)):
            continue
        for again in range(times):
            run.send(number)
            time.sleep(rng.uniform(0, 0.05) if again + 1 < times else 0)
        assert run.ended_within(AT_ONCE), f"still there after {AT_ONCE:.0f} s:\n{run.said()}"
        assert run.others() == []
        require_whole(output, study.name, [study.old, study.new])
        if run.code != 0:  # else it was done before the signal came
            ended += 1
            assert run.code == CODES[number], run.said()
            assert "Traceback" not in run.said()
            assert "again" in run.said().splitlines()[-1], "it does not say how to go on"
            hidden = {path.name for path in output.iterdir() if path.name.startswith(".")}
            assert hidden <= {".cache"}, "it has not cleared up"
        run = study.server.start(study.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, study.name, study.after)
    fault = f"{number.name} {'twice' if times == 2 else 'once'}"
    record(fault, "at uniform moments of a run", runs=ended, identical=ended)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_program_that_is_asked_to_end_while_it_starts_does(club, output, place, rng, number, only_full, record):
    """As a shell sees it: by an exit code, or by the signal itself before any of our code runs."""
    for i in range(10):
        renewed(output, club.before)
        run = start_program(club.arguments(output), place / f"{number.name}.{i}.log")
        if not run.ended_within(rng.uniform(0, 4.0)):
            run.send(number)
            assert run.ended_within(AT_ONCE), run.said()
            assert run.code in (0, CODES[number], -number), run.said()
        assert run.others() == []
        require_whole(output, club.name, [club.old, club.new])
    record(f"{number.name} while the program starts", "at uniform moments of its first 4 s", runs=10, identical=10)
