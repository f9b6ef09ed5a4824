"""A disk that fills up: one clear line that names the folder, the old report as it was, and nothing torn.

Folders that cannot be written from the beginning are refused before any work: tests/test_study_odd.py has those.
"""

import os
import shutil
import subprocess

import pytest

from tests.faults.folders import renewed, report_in, require_finished, require_whole, tree
from tests.faults.runs import start_program
from tests.faults.test_system_calls import Injector
from tests.faults.tracing import spread

BAD_INPUT = 2  # exit code
SHORT, FULL = 3, 40
TOO_SMALL = ("0.1 MB", "0.5 MB")  # for what a run keeps beside the old report; the others may do

# A disk of a size with some files on it, a run of the command behind, and what is there then, kept elsewhere.
ON_A_SMALL_DISK = """
size=$1 output=$2 files=$3 saved=$4; shift 4
mount -t tmpfs -o size="$size" none "$output" || exit 99
[ ! -d "$files" ] || cp -a "$files"/. "$output" || exit 98
"$@"; code=$?
cp -a "$output"/. "$saved"; exit "$code"
"""


def private_mounts():
    """A command that may mount a disk which nobody else sees; the test is left out where that is not allowed."""
    command = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    return command


def megabytes(folder):
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*")) / 2**20


@pytest.mark.parametrize("room", ["1 MB in all", "0.1 MB", "0.5 MB", "2 MB", "5 MB in all", "20 MB in all"])
def test_a_small_disk_fills_up_and_the_old_report_stays(club, output, place, room, full, record):
    """Fails where the error ends in a traceback, or where room is made by what was there."""
    if not full and room != "0.5 MB":
        pytest.skip("only with --full")
    command = private_mounts()
    used = megabytes(club.before)
    size = float(room.split()[0]) + (0 if "in all" in room else used)
    before = club.before if size > used + 0.05 else None
    renewed(output, None)
    saved = renewed(place / "saved", None)
    given = [f"{int(size * 1024)}k", str(output), str(before or "-"), str(saved)]
    log = place / f"disk.{room.replace(' ', '_')}.log"
    run = start_program(club.arguments(output), log, before=[*command, "sh", "-c", ON_A_SMALL_DISK, "sh", *given])
    run.wait()
    if run.code == 0 and "no page over all studies" in run.said():  # which is no part of the report
        require_whole(saved, club.name, [club.new if before else club.new_alone])
    elif run.code == 0:
        require_finished(saved, club.name, club.after if before else club.alone)
    else:
        assert run.code == BAD_INPUT, run.said()
        last = run.said().strip().splitlines()[-1]
        assert str(output) in last
        assert "space" in last
        assert "Traceback" not in run.said()
        require_whole(saved, club.name, [club.old if before else None])
    assert run.code == BAD_INPUT or room not in TOO_SMALL
    record(f"disk full ({room})", "tmpfs", runs=1, identical=1)


def test_a_disk_that_is_read_only_is_named_before_any_work(club, output, place, only_full, record):
    """Fails where the first write is that of the first result."""
    command = private_mounts()
    renewed(output, None)
    given = ["16m", str(output), str(club.before), str(renewed(place / "saved", None))]
    script = ON_A_SMALL_DISK.replace('"$@";', 'mount -o remount,ro "$output" || exit 97\n"$@";')
    log = place / "read_only.log"
    run = start_program(club.arguments(output), log, before=[*command, "sh", "-c", script, "sh", *given])
    assert run.wait() == BAD_INPUT, run.said()
    assert str(output) in run.said()
    assert "cannot be written" in run.said()
    assert "[1" not in run.said()
    require_whole(place / "saved", club.name, [club.old])
    record("a disk that is read only", "tmpfs", runs=1, identical=1)


@pytest.mark.parametrize("start", ["warm", "cold"])
def test_a_disk_that_is_full_at_any_write_is_named(club, output, place, start, full, record):
    """Fails where an error of the system is taken for one of the data, or is not said at all."""
    if not full and start == "cold":
        pytest.skip("only with --full")
    study = club
    source = study.warm if start == "warm" else study.before
    injector = Injector(study.server, place, output, [], study.arguments(output))
    renewed(output, source)
    points = injector.points(by="python", kinds="FILLING")
    chosen = spread(points, FULL if full else SHORT)
    refused = 0
    for point in chosen:
        renewed(output, source)
        run = injector.disturbed(point, "error=ENOSPC")
        require_whole(output, study.name, [study.old, study.new])
        assert "Traceback" not in run.said(), (point, run.said())
        if run.code != 0:
            refused += 1
            assert run.code == BAD_INPUT, (point, run.said())
            assert str(output) in run.said()
            assert "No space left" in run.said()
        run = study.server.start(study.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, study.name, study.after)
    # A folder that is there need not be made, and a report that is published needs no page over all studies.
    assert refused >= len(chosen) / 3
    how = f"ENOSPC at {len(chosen)} of {len(points)} changes, {'results kept' if start == 'warm' else 'nothing kept'}"
    record("disk full at a write", how, runs=len(chosen), identical=len(chosen))


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_a_limit_on_files_is_named_and_the_old_report_stays(club, output, size, full, record):
    """Fails where a short write is not noticed, as of `ulimit -f`."""
    if not full:
        pytest.skip("only with --full")
    renewed(output, club.warm)
    run = club.server.start(club.arguments(output), hooks=[["tests.faults.hooks:limit_files", size]])
    assert run.wait() == BAD_INPUT, run.said()
    assert str(output) in run.said()
    assert report_in(output / club.name) == club.old
    assert not {name for name in tree(output) - tree(club.warm) if not name.startswith(".cache")}
    record("a limit on the size of files", f"RLIMIT_FSIZE of {size:,} bytes", runs=1, identical=1)
