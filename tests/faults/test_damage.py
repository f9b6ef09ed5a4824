"""Kept results that are damaged: they are made again, never used, and the report is bit for bit the same."""

import json
import os
import shutil

import pytest

from clvmodels.study.store import ENTRY
from tests.faults.folders import renewed, require_finished


def files_of(entry):
    return sorted(path for path in entry.iterdir() if path.name != ENTRY)


def flip_a_bit(entry, other):
    path = files_of(entry)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(entry, other):
    path = files_of(entry)[-1]
    path.write_bytes(path.read_bytes()[:-1])


def empty(entry, other):
    files_of(entry)[0].write_bytes(b"")


def swap(entry, other):
    aside = entry.with_name("aside")
    entry.rename(aside)
    other.rename(entry)
    aside.rename(other)


def swap_values(entry, other):
    for one, two in zip(files_of(entry), files_of(other), strict=False):
        contents = one.read_bytes(), two.read_bytes()
        one.write_bytes(contents[1])
        two.write_bytes(contents[0])


def an_older_format(entry, other):
    about = json.loads((entry / ENTRY).read_bytes())
    about["digest"] = about.pop("files")
    (entry / ENTRY).write_text(json.dumps(about))


def no_entry_file(entry, other):
    (entry / ENTRY).unlink()


def half_an_entry_file(entry, other):
    (entry / ENTRY).write_bytes((entry / ENTRY).read_bytes()[:40])


def no_value(entry, other):
    for path in files_of(entry):
        path.unlink()


def one_more_file(entry, other):
    (entry / "more.json").write_text("1")


def another_hand(entry, other):
    """Value and digest both rewritten for another entry: its own key tells."""
    shutil.rmtree(entry)
    shutil.copytree(other, entry)


def from_the_future(entry, other):
    for path in (entry, *entry.iterdir()):
        os.utime(path, (4e9, 4e9))


DAMAGES = [
    flip_a_bit, truncate, empty, swap, swap_values, an_older_format, no_entry_file, half_an_entry_file, no_value,
    one_more_file, another_hand, from_the_future,
]  # fmt: skip


def entries_of(output, study):
    """Folders of the entries that the new report rests on."""
    keys = json.loads((output / ".cache" / "runs" / f"{study}.json").read_bytes())["keys"]
    return [output / ".cache" / key[:2] / key for key in sorted(keys)]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_results_are_set_aside_and_made_again(small, output, rng, damage, full, record):
    """Fails where an entry is taken because it is there."""
    if not full and damage not in (flip_a_bit, swap):
        pytest.skip("only with --full")
    for study in map(small, ("club", "shop") if full else ("club",)):
        renewed(output, study.warm)
        entries = rng.permutation(entries_of(output, study.name))
        for one, two in zip(entries[::2], entries[1::2], strict=False):
            damage(one, two)
        run = study.server.start(study.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, study.name, study.after)
        aside = len(list((output / ".cache").glob("quarantine/*")))
        assert aside >= (0 if damage is from_the_future else len(entries) // 2)
        record(f"damaged results ({damage.__name__.replace('_', ' ')})", study.name, runs=1, identical=1)


def test_results_that_are_all_damaged_are_all_made_again(club, output, record):
    """Fails where a check is made only once, or where what was set aside is in the way."""
    for _ in range(2):
        if not output.exists():
            renewed(output, club.warm)
        for entry in entries_of(output, club.name):
            flip_a_bit(entry, None)
        shutil.rmtree(output / club.name)
        shutil.copytree(club.before / club.name, output / club.name)
        run = club.server.start(club.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, club.name, club.after)
    record("damaged results (every one, twice)", "club", runs=2, identical=2)


def test_a_damaged_report_is_made_again(club, output, record):
    """Fails where a run says that there is nothing to do because a report is there."""
    renewed(output, club.after)
    page = output / club.name / "index.html"
    page.write_text(page.read_text(encoding="utf-8").replace("0", "1", 1), encoding="utf-8")
    run = club.server.start(club.arguments(output))
    assert run.wait() == 0, run.said()
    require_finished(output, club.name, club.after)
    record("damaged report", "a digit of the page changed", runs=1, identical=1)
