"""Units that go wrong are named at the end, the others are made, the old report stays, and the exit code says so."""

import json

import pytest

from clvmodels.study.store import ENTRY
from tests.faults import stubs
from tests.faults.folders import renewed, report_in, require_finished
from tests.faults.runs import start_program
from tests.faults.small import NEW

FAILED = 1  # exit code
PUT = "tests.faults.hooks:put_in_place"
SECONDS = 12.0  # that a unit may take, where one hangs: enough for the others on a busy machine


def units_kept(output, seed):
    """The units, of those that have a seed of their own, whose results are kept."""
    entries = [json.loads(path.read_bytes()) for path in (output / ".cache").glob(f"[0-9a-f][0-9a-f]/*/{ENTRY}")]
    return {entry["unit"] for entry in entries if entry["parts"]["settings"].get("seed") == seed}


def require_failed(run, study, output, *words):
    """The unit "values" is named, with what rests on it; "worth", which does not, is kept; nothing is published."""
    assert run.wait() == FAILED, run.said()
    last = run.said().strip().splitlines()[-1]
    for word in ("values", "results", *words):
        assert word in last, last
    assert report_in(output / study.name) == study.old
    kept = units_kept(output, NEW)
    assert "worth" in kept
    assert not kept & {"values", "results"}


@pytest.mark.parametrize(
    ("stub", "word"), [("no_number", "nan"), ("break_down", "planted"), ("take_too_much", "[fit] draws")]
)
def test_a_unit_that_breaks_is_named_and_the_others_go_on(club, output, stub, word, record):
    """Fails where a number that is none is written, or where the first failure ends the run."""
    renewed(output, club.before)
    hook = [PUT, stubs.VALUES, f"tests.faults.stubs:{stub}"]
    run = club.server.start(club.arguments(output), hooks=[hook])
    require_failed(run, club, output, word)
    run = club.server.start(club.arguments(output))
    assert run.wait() == 0, run.said()
    assert "fit 2 models" not in run.said(), "it made anew what was kept"
    require_finished(output, club.name, club.after)
    record(f"a unit goes wrong ({stub.replace('_', ' ')})", "a stub in its place", runs=1, identical=1)


@pytest.mark.parametrize(
    ("stub", "word"),
    [
        ("hang", f"longer than {SECONDS:g} s"),
        ("be_killed", "SIGKILL: out of memory"),
        ("give_up", "exit code 1: out of memory"),
    ],
)
def test_a_unit_that_takes_its_process_with_it_is_named_and_the_others_go_on(
    club, output, place, stub, word, full, record
):
    """Fails without a process that watches: the run would wait for ever, or end without a word."""
    if not full and stub != "hang":
        pytest.skip("only with --full")
    renewed(output, club.before)
    file = place / f"{stub}.toml"
    text = club.file(NEW).read_text(encoding="utf-8")
    file.write_text(f"{text}\n[limits]\nseconds = {SECONDS}\n" if stub == "hang" else text, encoding="utf-8")
    hooks = json.dumps([[PUT, stubs.VALUES, f"tests.faults.stubs:{stub}"]])
    log = place / f"{stub}.log"
    run = start_program(["study", str(file), "--output", str(output)], log, program=["tests.faults.planted", hooks])
    require_failed(run, club, output, word)
    assert run.others() == []
    record(f"a unit goes wrong ({stub.replace('_', ' ')})", "a stub in its place, watched", runs=1, identical=1)


@pytest.mark.parametrize("part", [1.2, 0.7, 0.5])
def test_too_little_memory_names_a_unit_and_how_to_need_less(shop, output, place, part, only_full, record):
    """Fails where running out of memory ends in a crash without a word. Address space, as of `ulimit -v`."""
    need = needed(shop, place)
    renewed(output, shop.before)
    hooks = json.dumps([["tests.faults.hooks:limit_memory", int(part * need)]])
    log = place / f"memory.{part}.log"
    run = start_program(shop.arguments(output), log, program=["tests.faults.planted", hooks])
    run.wait(600)
    if part > 1:
        assert run.code == 0, run.said()
        require_finished(output, shop.name, shop.after)
    else:
        assert run.code != 0
        assert report_in(output / shop.name) == shop.old
        last = run.said().strip().splitlines()[-1]
        assert "failed" in last, last  # the unit, with what it said
        assert "draws" in last or "engine_limits" in last, last
    assert run.others() == []
    again = shop.server.start(shop.arguments(output))
    assert again.wait() == 0, again.said()
    require_finished(output, shop.name, shop.after)
    record("too little memory", f"address space of {part:g} times the need", runs=1, identical=1)


def needed(study, place):
    """Bytes of address space that an undisturbed run adds to what it begins with."""
    path = place / "need"
    if not path.exists():
        output = renewed(place / "needed", study.before)
        hooks = json.dumps([["tests.faults.hooks:note_memory", str(path)]])
        log = place / "need.log"
        run = start_program(study.arguments(output), log, program=["tests.faults.planted", hooks])
        assert run.wait(600) == 0, run.said()
    return int(path.read_text())
