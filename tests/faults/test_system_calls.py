"""A kill at every system call that writes: what is seen then is whole, and the next run ends the same."""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.folders import NOTE, renewed, require_finished, require_whole
from tests.faults.pieces import VALUE, kept, old_report, state_of
from tests.faults.runs import Server
from tests.faults.tracing import FILLING, points_below, spread, start_traced, why_not

STUDIES_SHORT, COLD_FULL = 2, 60
STORE_MOVE = "clvmodels.study.store:Store._move"
AT_EVERY_CALL, FULL_AT_EVERY_CALL = "strace, at every call that writes", "strace, ENOSPC at every call"


@pytest.fixture
def traced():
    if why_not():
        pytest.skip(why_not())


@dataclass
class Injector:
    """Runs of one thing, disturbed at each of its points one after another."""

    server: Server
    place: Path
    folder: Path
    hooks: list[Any] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def points(self, *, by, kinds="CHANGES"):
        """Where the thing, undisturbed, changes something below its folder."""
        if by == "strace":
            log = self.place / "calls.strace"
            run, tracer = start_traced(self.server, self.arguments, log, "", hooks=self.hooks)
            assert run.wait() == 0, run.said()
            tracer.wait()
            return points_below(log, self.folder, run.pid)
        count = self.place / "events"
        counting = ["tests.faults.hooks:count_events", str(self.folder), str(count), kinds]
        run = self.server.start(self.arguments, hooks=[counting, *self.hooks])
        assert run.wait() == 0, run.said()
        return [*range(1, int(count.read_text()) + 1)]

    def disturbed(self, point, fault):
        """The run that had a fault, `signal=KILL` or `error=ENOSPC`, at a point."""
        if isinstance(point, int):
            kind, _, code = fault.partition("=")
            act = ["kill_at_event"] if kind == "signal" else ["fail_at_event", code]
            hook = [f"tests.faults.hooks:{act[0]}", str(self.folder), point, *act[1:]]
            run = self.server.start(self.arguments, hooks=[hook, *self.hooks])
            run.wait()
            return run
        inject = f"{point.call}:{fault}:when={point.number}"
        log = self.place / "fault.strace"
        run, tracer = start_traced(self.server, self.arguments, log, inject, hooks=self.hooks)
        run.wait()
        tracer.wait()
        return run


def pieces(server, place, output, hook, planted=()):
    """Runs of one piece, with a fault planted in the code if there is one to be noticed."""
    faults = [["tests.faults.hooks:put_in_place", *planted]] if planted else []
    return Injector(server, place, output, [*faults, [f"tests.faults.hooks:{hook}", str(output)]])


def kill_at_each_call_of_an_entry(injector, output, server):
    """How many kills; after each, the entry is whole or not there, and the next run keeps it."""
    points = injector.points(by="strace")
    assert {"openat", "write", "fsync"} <= {point.call for point in points}
    for point in points:
        renewed(output, None)
        assert injector.disturbed(point, "signal=KILL").code == -signal.SIGKILL, point
        assert kept(output) in (None, VALUE), point
        assert not list(output.glob("quarantine/*")), f"{point}: an entry that is not whole had its final name"
        assert server.start([], hooks=injector.hooks).wait() == 0
        assert kept(output) == VALUE
    return len(points)


def test_an_entry_of_the_store_killed_at_each_call_is_whole_or_not_there(server, place, output, traced, record):
    kills = kill_at_each_call_of_an_entry(pieces(server, place, output, "keep_entry"), output, server)
    record("kill -9 while an entry is kept", AT_EVERY_CALL, runs=kills, identical=kills)


def test_an_entry_that_is_filled_under_its_name_is_noticed(server, place, output, traced):
    """The suite itself: this fault in the code must make the test above fail."""
    injector = pieces(server, place, output, "keep_entry", planted=[STORE_MOVE, "tests.faults.stubs:keep_in_place"])
    with pytest.raises(AssertionError, match="final name"):
        kill_at_each_call_of_an_entry(injector, output, server)


def test_an_entry_on_a_full_disk_is_not_there_and_the_folder_is_named(server, place, output, traced, record):
    """Fails where an error of the system is swallowed, or where what could not be finished stays."""
    injector = pieces(server, place, output, "keep_entry")
    points = [point for point in injector.points(by="strace") if point.call in FILLING]
    refused = 0
    for point in points:
        renewed(output, None)
        run = injector.disturbed(point, "error=ENOSPC")
        assert not list(output.glob(".*")), f"{point} leaves something"
        assert kept(output) in (None, VALUE)
        if run.code != 0 or kept(output) is None:
            refused += 1
            assert run.code == 2, (point, run.said())
            assert "No space left" in run.said()
            assert str(output) in run.said()
    assert refused >= len(points) - 2  # a folder that is there need not be made
    record("disk full while an entry is kept", FULL_AT_EVERY_CALL, runs=len(points), identical=len(points))


def kill_at_each_call_of_a_publication(injector, folder, server, *, before):
    """How many kills; after each, the report is whole, and the next run ends with the new one and nothing else."""
    injector.folder = output = folder.parent

    def fresh():
        renewed(output, None)
        if before:
            old_report(folder)

    fresh()
    points = injector.points(by="strace")
    assert len(points) > 10
    for point in points:
        fresh()
        assert injector.disturbed(point, "signal=KILL").code == -signal.SIGKILL, point
        if before or folder.exists():
            assert state_of(folder) in ({"old"}, {"new"}), f"{point}: no report as a whole"
        assert {path.name for path in output.iterdir() if not path.name.startswith(".")} <= {"report"}
        assert server.start([], hooks=injector.hooks).wait() == 0
        assert state_of(folder) == {"new"}
        assert (folder / NOTE).is_file() == bool(before)
        assert [path.name for path in output.iterdir()] == ["report"], f"{point}: something is left"
    return len(points)


@pytest.mark.parametrize("before", ["old", None])
def test_a_report_killed_at_each_call_of_its_publication_is_the_old_or_the_new_one(
    server, place, output, traced, before, record
):
    folder = output / "report"
    injector = pieces(server, place, folder, "publish_report")
    kills = kill_at_each_call_of_a_publication(injector, folder, server, before=before)
    record("kill -9 while a report is published", AT_EVERY_CALL, runs=kills, identical=kills)


@pytest.mark.parametrize(
    ("place_of_fault", "stub", "message"),
    [
        ("clvmodels.study.publish:_exchange", "publish_file_by_file", "as a whole"),
        ("clvmodels.study.publish:_exchange", "remove_and_publish", "as a whole|notes"),
        ("clvmodels.study.store:Leftovers.sweep", "leave_what_is_in_progress", "something is left"),
    ],
)
def test_a_publication_in_several_steps_is_noticed(server, place, output, traced, place_of_fault, stub, message):
    """The suite itself: each of these faults in the code must make the test above fail."""
    folder = output / "report"
    planted = [place_of_fault, f"tests.faults.stubs:{stub}"]
    injector = pieces(server, place, folder, "publish_report", planted=planted)
    with pytest.raises(AssertionError, match=message):
        kill_at_each_call_of_a_publication(injector, folder, server, before="old")


def test_a_report_on_a_full_disk_stays_the_old_one(server, place, output, traced, record):
    """Fails where the old report is touched before the new one is whole, or where no folder is named."""
    folder = output / "report"
    injector = pieces(server, place, folder, "publish_report")
    injector.folder = output
    renewed(output, None)
    old_report(folder)
    points = [point for point in injector.points(by="strace") if point.call in FILLING]
    refused = 0
    for point in points:
        renewed(output, None)
        old_report(folder)
        run = injector.disturbed(point, "error=ENOSPC")
        assert [path.name for path in output.iterdir()] == ["report"], f"{point}: something is left"
        assert state_of(folder) in ({"old"}, {"new"}), point
        if run.code != 0 or state_of(folder) == {"old"}:
            refused += 1
            assert run.code == 2, (point, run.said())
            assert "No space left" in run.said()
            assert str(folder) in run.said()
    assert refused >= len(points) - 2  # a folder that is there need not be made
    record("disk full while a report is published", FULL_AT_EVERY_CALL, runs=len(points), identical=len(points))


@pytest.mark.parametrize("by", ["strace", "python"])
@pytest.mark.parametrize("start", ["warm", "cold"])
def test_a_study_killed_at_a_call_leaves_a_whole_report_and_resumes_to_the_same_bits(
    small, output, place, by, start, full, record
):
    """Fails as the random kills do, at the very call that is to blame."""
    if by == "strace" and why_not():
        pytest.skip(why_not())
    for study in map(small, ("club", "shop") if full else ("club",)):
        source = study.warm if start == "warm" else study.before
        injector = Injector(study.server, place, output, [], study.arguments(output))
        renewed(output, source)
        points = injector.points(by=by)
        if not full:
            chosen = spread(points, STUDIES_SHORT)
        elif start == "warm" and study.name == "club":
            chosen = points
        else:
            chosen = spread(points, COLD_FULL)
        for point in chosen:
            renewed(output, source)
            assert injector.disturbed(point, "signal=KILL").code == -signal.SIGKILL, point
            require_whole(output, study.name, [study.old, study.new])
            run = study.server.start(study.arguments(output))
            assert run.wait() == 0, run.said()
            require_finished(output, study.name, study.after)
        how = f"{by}, {len(chosen)} of {len(points)} points, {'results kept' if start == 'warm' else 'nothing kept'}"
        record(f"kill -9 at a call that writes ({study.name})", how, runs=len(chosen), identical=len(chosen))
