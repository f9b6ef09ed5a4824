"""Runs that are asked to end, or whose watching process is killed: all processes go, and what is made is kept."""

import signal
import time

import pytest

from tests.faults.folders import renewed, require_finished, require_whole
from tests.faults.runs import start_program, until

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
AT_ONCE = 5.0  # seconds
RUNS, FULL_RUNS = 1, 6


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGTERM, 2), (signal.SIGTERM, 1), (signal.SIGINT, 2)]
)
def test_a_run_that_is_asked_to_end_does_so_and_says_how_to_go_on(
    club, output, place, rng, number, times, full, record
):
    """Fails without a handler for the signal, or where a second one ends the watching process before the other."""
    if not full and (number, times) not in ((signal.SIGINT, 1), (signal.SIGTERM, 2)):
        pytest.skip("only with --full")
    ended = 0
    for i in range(FULL_RUNS if full else RUNS):
        renewed(output, club.before)
        run = start_program(club.arguments(output), place / f"{number.name}.{times}.{i}.log")
        until(lambda run=run: "read the contracts" in run.said())
        if run.ended_within(rng.uniform(0, 0.8 * club.seconds)):
            continue
        for again in range(times):
            run.send(number)
            time.sleep(rng.uniform(0, 0.05) if again + 1 < times else 0)
        assert run.ended_within(AT_ONCE), f"still there after {AT_ONCE:.0f} s:\n{run.said()}"
        assert run.others() == []
        require_whole(output, club.name, [club.old, club.new])
        if run.code != 0:  # else it was done before the signal came
            ended += 1
            assert run.code == CODES[number], run.said()
            assert "Traceback" not in run.said()
            assert "same command goes on" in run.said().splitlines()[-1]
        run = club.server.start(club.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, club.name, club.after)
    fault = f"{number.name} {'twice' if times == 2 else 'once'}"
    record(fault, "at uniform moments of a run", runs=ended, identical=ended)


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_program_that_is_asked_to_end_while_it_starts_does(club, output, place, rng, number, only_full, record):
    """As a shell sees it: by an exit code, or by the signal itself before any of our code runs."""
    for i in range(FULL_RUNS):
        renewed(output, club.before)
        run = start_program(club.arguments(output), place / f"{number.name}.start.{i}.log")
        if not run.ended_within(rng.uniform(0, 3.0)):
            run.send(number)
            assert run.ended_within(AT_ONCE), run.said()
            assert run.code in (0, CODES[number], -number), run.said()
        assert run.others() == []
        require_whole(output, club.name, [club.old, club.new])
    record(f"{number.name} while the program starts", "in its first 3 s", runs=FULL_RUNS, identical=FULL_RUNS)


def test_a_watching_process_that_is_killed_takes_the_watched_one_with_it(club, output, place, rng, full, record):
    """Fails where the study goes on as an orphan that nobody can stop; killed as soon as there are two, and later."""
    for i in range(FULL_RUNS if full else 1):
        renewed(output, club.before)
        run = start_program(club.arguments(output), place / f"orphan.{i}.log")
        until(lambda run=run: len(run.others()) == 2)
        if not run.killed_at(rng.uniform(0, 0.5) ** 2 * 10):
            continue
        time.sleep(AT_ONCE / 10)
        until(lambda run=run: run.others() == [], seconds=AT_ONCE)
        require_whole(output, club.name, [club.old, club.new])
        run = club.server.start(club.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, club.name, club.after)
    rounds = FULL_RUNS if full else 1
    record("kill -9 of the watching process", "at once, and at random moments", runs=rounds, identical=rounds)
