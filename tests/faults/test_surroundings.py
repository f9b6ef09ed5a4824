"""Clocks, languages, zones, threads, and a world without a network: the same bits. Changed inputs: no report."""

import json
import math
import os
import platform
import shutil
import subprocess

import numpy as np
import pytest

from tests.faults.folders import digests, renewed, report_in, require_finished
from tests.faults.runs import ROOT, start_program, until

SURROUNDINGS = {
    "Kathmandu, German, hashes at random": {
        "TZ": "Asia/Kathmandu", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "random",
    },
    "C locale, New York, 2 threads": {
        "TZ": "America/New_York", "LC_ALL": "C", "OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2",
    },
    "16 threads": {"OMP_NUM_THREADS": "16", "OPENBLAS_NUM_THREADS": "16", "NUMBA_NUM_THREADS": "16"},
    "1 thread, east of the date line": {
        "TZ": "Pacific/Kiritimati", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1",
    },
}  # fmt: skip


DRIFTING = 0.02
OLD_PROCESSOR = {
    "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "OPENBLAS_CORETYPE": "Prescott",
    "ARROW_USER_SIMD_LEVEL": "NONE", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
}  # fmt: skip


def without_network():
    """A command that runs another without a network, if that is allowed here."""
    command = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
        return command
    return []


@pytest.mark.parametrize("name", ["shop", "club"])
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_surroundings_do_not_reach_the_report(small, output, place, name, surroundings, full, record):
    """Fails where a set is put in order by its hashes, a local time is shown, or threads share a sum."""
    if not full and (name, surroundings) != ("club", next(iter(SURROUNDINGS))):
        pytest.skip("only with --full")
    study = small(name)
    log = place / "surroundings.log"
    before = without_network()
    run = start_program(study.arguments(output), log, before=before, **SURROUNDINGS[surroundings])
    assert run.wait() == 0, run.said()
    require_finished(output, name, study.alone)
    how = f"{surroundings}{', no network' if before else ''}"
    record(f"surroundings ({name})", how, runs=1, identical=1)


@pytest.mark.parametrize("name", ["shop", "club"])
def test_another_processor_makes_the_same_numbers_but_for_their_last_digits(
    small, output, place, name, only_full, record
):
    """Fails where a decision hangs on a last bit. Bits are promised on one machine alone.

    Of this machine's processor the program is told nothing: no AVX2, FMA and AVX-512. Every text and count is equal,
    and numbers agree to 1e-6, nine of ten to 1e-9: the mode of a posterior is found to 1e-8 of itself. Totals where
    demand drifts count purchases of simulated customers, of whom a few buy once more or less where a last bit tips
    it: measured 0.4 %, which is a quarter of the Monte Carlo error of their 100 draws.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("there is nothing to turn off")
    study = small(name)
    reference = json.loads((study.alone / name / "results.json").read_bytes())
    log, given = place / "processor.log", {**OLD_PROCESSOR, "NUMBA_CACHE_DIR": str(place / "numba")}
    run = start_program(study.arguments(output), log, NPY_DISABLE_CPU_FEATURES=" ".join(features()), **given)
    assert run.wait(600) == 0, run.said()
    other = dict(leaves(json.loads((output / name / "results.json").read_bytes())))
    numbers = {place: value for place, value in leaves(reference) if isinstance(value, float)}
    assert other.keys() == dict(leaves(reference)).keys()
    assert {p: v for p, v in leaves(reference) if p not in numbers} == {
        p: v for p, v in other.items() if p not in numbers
    }
    apart = {
        place: (value, other[place])
        for place, value in numbers.items()
        if not math.isclose(value, other[place], rel_tol=DRIFTING if "drifting" in place else 1e-6, abs_tol=1e-8)
    }
    assert not apart
    close = sum(math.isclose(value, other[place], rel_tol=1e-9) for place, value in numbers.items()) / len(numbers)
    assert close > 0.9
    how = f"no AVX2, FMA, AVX-512: the same to 1e-6, {close:.0%} to 1e-9, sums under drift to 2 %; no bits are promised"
    record(f"another processor ({name})", how, runs=1, identical=0)


def features():
    """What NumPy uses of this processor beyond the least."""
    found = np._core._multiarray_umath
    return [name for name in found.__cpu_dispatch__ if found.__cpu_features__[name]]


def leaves(value, place=""):
    """Every text and number of a JSON document, by its path."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        yield place, value
    for key, part in inside or ():
        yield from leaves(part, f"{place}.{key}")


def test_a_clock_that_jumps_does_not_reach_the_report(club, output, record):
    """Fails where an entry's age decides whether it is used, or where a time is written into a result."""
    renewed(output, club.before)
    for path in (output / ".cache").rglob("*"):
        os.utime(path, (4e9, 4e9))  # in the year 2096
    run = club.server.start(club.arguments(output), hooks=[["tests.faults.hooks:jump_in_time"]])
    assert run.wait() == 0, run.said()
    require_finished(output, club.name, club.after)
    record("clock jumps, entries from the future", "time.time back and forth by years; mtime 2096", runs=1, identical=1)


def test_the_night_in_which_an_hour_comes_twice_does_not_reach_the_report(club, output, only_full, record):
    """Fails where a local time is shown, or tells which of two entries is the later one."""
    renewed(output, club.before)
    a_second_before = 1_761_440_399.0  # 2025-10-26 00:59:59 UTC
    hook = ["tests.faults.hooks:start_clock_at", a_second_before]
    run = club.server.start(club.arguments(output), hooks=[hook], TZ="Europe/Berlin")
    assert run.wait() == 0, run.said()
    require_finished(output, club.name, club.after)
    record("the end of summer time", "in Berlin, in the night in which an hour comes twice", runs=1, identical=1)


@pytest.mark.parametrize("moment", ["summarise the calibration", "customers, segments", "write results"])
def test_an_input_that_changes_under_the_run_is_noticed(shop, output, place, moment, only_full, record):
    """Fails where the bytes that were read are not held against those that are there at the end."""
    renewed(output, shop.before)
    log = place / "changing.csv"
    shutil.copy(shop.source, log)
    arguments = [*shop.arguments(output), "--data", str(log)]
    run = shop.server.start(arguments)
    until(lambda: moment in run.said())
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:-1], lines[-1].rpartition(",")[0] + ",99.5"]) + "\n")
    assert run.wait() not in (0, 130), run.said()
    assert str(log) in run.said()
    assert "changed" in run.said()
    assert report_in(output / shop.name) == shop.old
    run = shop.server.start(arguments)  # what was made of the old bytes is not taken for the new ones
    assert run.wait() == 0, run.said()
    changed = digests(output / shop.name)
    alone = renewed(place / "changed", None)
    assert shop.server.start([*shop.arguments(alone), "--data", str(log)]).wait() == 0
    assert report_in(output / shop.name).fixed["results.json"] == report_in(alone / shop.name).fixed["results.json"]
    assert changed["results.json"] != shop.new.fixed["results.json"]
    record("input changed under the run", "a row rewritten during the run", runs=1, identical=1)


def test_two_clean_clones_make_the_same_bits(shop, club, place, only_full, record):
    """Fails where a path, a time or a random number of the machine gets into a report."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    reports = []
    for name in ("one", "another place"):
        clone = place / name / "clvmodels"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True, capture_output=True)
        for study in (shop, club):
            log = place / f"clone.{len(reports)}.log"
            given = {"NUMBA_CACHE_DIR": str(place / name / "numba")}
            run = start_program(study.arguments(place / name / "reports"), log, folder=clone, **given)
            assert run.wait(600) == 0, run.said()
        reports.append({study.name: report_in(place / name / "reports" / study.name) for study in (shop, club)})
        shutil.rmtree(clone)
    assert reports[0] == reports[1]
    record("two clean clones", "own checkouts, own compiled kernels, a blank in the path", runs=2, identical=2)
