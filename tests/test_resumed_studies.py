"""Studies that go on: what a change reaches runs again and nothing else, and a report is the old one or the new one."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.foundation.errors import StudyError, UnitsFailedError
from clvmodels.foundation.files import digest_of_files
from clvmodels.strategy.value_matrix import cell_names
from clvmodels.study import purchases as purchase_units
from clvmodels.study.current import current_folder
from clvmodels.study.files import read_study
from clvmodels.study.graph import run_graph
from clvmodels.study.publish import publish, recover
from clvmodels.study.run import graph_of, task_for
from clvmodels.study.supervised import supervise
from tests.test_study_odd import STUDY, purchases


def written(folder, *, size=150, margin=0.3, seed=1, extra=""):
    """A study file with its log beside it."""
    source, file = folder / "log.csv", folder / "odd.toml"
    purchases(size, seed=seed).to_csv(source, index=False)
    text = STUDY.format(source=source.as_posix(), unit="week", margin=margin, data="", value="", allow="", window="")
    file.write_text(text.replace("draws = 400", "draws = 100") + extra, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A study that has run."""
    folder = tmp_path_factory.mktemp("resumed")
    clv.run_study(written(folder), output=folder / "reports")
    return folder


@pytest.fixture
def copy(home, tmp_path):
    """The same study, its log at the place that its file names, with a copy of what it left."""
    shutil.copytree(home / "reports", tmp_path / "reports", symlinks=True)
    shutil.copy(home / "odd.toml", tmp_path / "odd.toml")
    return tmp_path


def changed(folder, old, new):
    file = folder / "odd.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def to_run(folder):
    """Units that would run again, with the reason."""
    graph = graph_of(task_for(read_study(folder / "odd.toml"), output=folder / "reports"))
    return {reason.unit: (reason.kind, reason.what) for reason in graph.units.reasons()}


def digests(folder):
    """Of all that a run leaves but what holds its cost."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): digest_of_files([path]) for path in files}


# --- what runs again ---


def test_nothing_runs_where_nothing_has_changed(copy):
    told = []
    before = (copy / "reports" / "odd" / "manifest.json").stat().st_mtime_ns
    results = clv.run_study(copy / "odd.toml", output=copy / "reports", tell=told.append)
    assert told == [f"{copy / 'reports' / 'odd'} is up to date"]
    assert (copy / "reports" / "odd" / "manifest.json").stat().st_mtime_ns == before
    assert results.study.name == "odd"
    assert to_run(copy) == {}


@pytest.mark.parametrize(
    ("old", "new", "first", "untouched"),
    [
        ("replicates = 40", "replicates = 41", {"replicate": ("setting", ("fit.replicates",))},
         {"fit_all", "fit_calibration", "strategy", "contest"}),
        ("amount = 20.0", "amount = 21.0", {"forecast_holdout": ("setting", ("matrix.future.amount",))},
         {"fit_all", "fit_calibration", "replicate"}),
        ("horizon = 26", "horizon = 27", {"strategy": ("setting", ("value.horizon",))},
         {"fit_all", "fit_calibration", "contest", "replicate", "forecast_holdout"}),
        ("An odd shop", "Our shop", {"results": ("setting", ("title.en", "study_digest"))},
         {"fit_all", "strategy", "contest", "money", "classes", "models"}),
        ("replicates = 100", "replicates = 120", {"contest": ("setting", ("contest.replicates",))},
         {"fit_all", "strategy", "classes", "forecast_holdout"}),
    ],
)  # fmt: skip
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(copy, old, new, first, untouched):
    changed(copy, old, new)
    again = to_run(copy)
    assert first.items() <= again.items()
    assert "results" in again
    assert not untouched & again.keys()


def test_other_names_of_the_cells_make_the_results_anew_and_nothing_else(copy):
    """The forecast of the holdout was drawn anew when its key had all of [matrix], the names of its cells too."""
    changed(copy, 'names = "metal"', 'names = "treatment"')
    assert to_run(copy) == {"results": ("setting", ("matrix.names", "study_digest"))}
    names = cell_names("treatment")
    results = clv.run_study(copy / "odd.toml", output=copy / "reports")
    assert results.matrix.vocabulary == "treatment"
    assert {cell.key: cell.name for cell in results.matrix.cells} == names
    customers = pd.read_csv(copy / "reports" / "odd" / "customers.csv")
    assert customers["label"].tolist() == customers["cell"].map(names).tolist()


def test_a_remark_in_the_study_file_makes_the_results_anew_and_nothing_else(copy):
    changed(copy, "[fit]", "# a remark\n[fit]")
    assert to_run(copy) == {"results": ("setting", ("study_digest",))}


def test_a_limit_of_time_is_no_part_of_any_number(copy):
    changed(copy, "[fit]", "[limits]\nseconds = 5000\n\n[fit]")
    assert to_run(copy) == {"results": ("setting", ("study_digest",))}


def test_a_changed_row_reruns_all_that_reads_the_log(home, copy):
    log = (home / "log.csv").read_text()
    (copy / "log.csv").write_text(log.replace(",", ",", 1) + log.splitlines()[-1] + "\n")
    again = to_run_with_log(copy)
    assert again["check"] == ("setting", ("data.source",)) or again["check"][0] in ("need", "setting")
    assert len(again) == len(to_run_with_log(copy, fresh=True))


def to_run_with_log(folder, *, fresh=False):
    if fresh:
        shutil.rmtree(folder / "reports" / ".cache")
    graph = graph_of(task_for(read_study(folder / "odd.toml"), output=folder / "reports", data=str(folder / "log.csv")))
    return {reason.unit: (reason.kind, reason.what) for reason in graph.units.reasons()}


def test_a_resumed_study_is_the_undisturbed_one_bit_by_bit(home, copy):
    entries = sorted((copy / "reports" / ".cache").glob("[0-9a-f][0-9a-f]/*"))
    for entry in entries[::2]:  # as if a run had been stopped before these were made
        shutil.rmtree(entry)
    shutil.rmtree(copy / "reports" / "odd")
    told = []
    clv.run_study(copy / "odd.toml", output=copy / "reports", tell=told.append)
    assert told
    assert digests(copy / "reports" / "odd") == digests(home / "reports" / "odd")


def test_a_report_that_was_tampered_with_is_published_again(home, copy):
    path = copy / "reports" / "odd" / "customers.csv"
    path.write_text(path.read_text().replace("0", "1", 1))
    told = []
    clv.run_study(copy / "odd.toml", output=copy / "reports", tell=told.append)
    assert [line for line in told if line.startswith("[")] == ["[1/1] write results, tables and pages ..."]
    assert digests(copy / "reports" / "odd") == digests(home / "reports" / "odd")


def test_the_code_of_a_unit_that_is_changed_runs_again(copy, monkeypatch):
    from clvmodels.study import units

    known = units.code_digests
    other = {"clvmodels.models.bg_nbd:_beta": "other"}
    monkeypatch.setattr(
        units, "code_digests", lambda roots: known(roots) | (other if "clvmodels.models.bg_nbd" in roots else {})
    )
    again = to_run(copy)
    assert again["fit_all"] == ("code", ("clvmodels.models.bg_nbd:_beta",))
    assert not {"data", "correlation", "holdout_table"} & {unit for unit, (kind, _) in again.items() if kind == "code"}


# --- what goes wrong ---


def test_an_input_that_changes_while_the_study_runs_is_refused_and_nothing_of_it_is_kept(home, copy, monkeypatch):
    source = home / "log.csv"
    before = source.read_bytes()
    changed(copy, "horizon = 26", "horizon = 28")
    real = purchase_units.weigh_actions

    def writing(*arguments, **given):
        source.write_bytes(before + b"c1,2023-03-03,5.0\n")
        return real(*arguments, **given)

    writing.__module__, writing.__qualname__ = real.__module__, real.__qualname__
    monkeypatch.setattr(purchase_units, "weigh_actions", writing)
    try:
        with pytest.raises((StudyError, clv.DataError), match="chang"):
            clv.run_study(copy / "odd.toml", output=copy / "reports")
    finally:
        source.write_bytes(before)
    assert digests(copy / "reports" / "odd") == digests(home / "reports" / "odd")


def test_an_input_that_changes_while_pages_are_made_is_noticed_too(home, copy):
    """The digests were once taken before the pages, which take longer than all that a small study works out."""
    source = home / "log.csv"
    before = source.read_bytes()
    changed(copy, "replicates = 40", "replicates = 42")
    try:
        with pytest.raises(StudyError, match=r"log\.csv has changed while the study ran"):
            clv.run_study(
                copy / "odd.toml",
                output=copy / "reports",
                render=lambda _: source.write_bytes(before + b"c1,2023-03-03,5.0\n"),
            )
    finally:
        source.write_bytes(before)
    assert digests(copy / "reports" / "odd") == digests(home / "reports" / "odd")
    assert {"replicate", "results"} <= set(to_run(copy))


def test_units_that_break_are_listed_and_the_old_report_stays(home, copy, monkeypatch, capsys):
    changed(copy, "horizon = 26", "horizon = 29")
    real = purchase_units.money_section

    def broken(*arguments):
        raise RuntimeError("a mistake")

    broken.__module__, broken.__qualname__ = real.__module__, real.__qualname__
    monkeypatch.setattr(purchase_units, "money_section", broken)
    assert main(["study", str(copy / "odd.toml"), "--output", str(copy / "reports")]) == 1
    said = capsys.readouterr().err
    assert "money: RuntimeError: a mistake" in said
    assert "not made, since they rest on it: results" in said
    assert digests(copy / "reports" / "odd") == digests(home / "reports" / "odd")
    assert set(to_run(copy)) == {"money", "results"}  # all others were made and kept


def test_a_unit_that_another_process_could_not_finish_is_not_tried_again(copy):
    from clvmodels.study.supervised import Watch

    changed(copy, "horizon = 26", "horizon = 30")
    task = task_for(read_study(copy / "odd.toml"), output=copy / "reports")
    watch = Watch({"odd": {"actions": "it took longer than 5 s ([limits] seconds)"}})
    with pytest.raises(UnitsFailedError, match=r"actions: it took longer than 5 s .*not made.*: results"):
        run_graph(graph_of(task, watch=watch))


# --- publication ---


def fill(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(text)


def test_a_report_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    folder = tmp_path / "x"
    publish(folder, lambda fresh: fill(fresh, results="1", **{"manifest.json": '{"files": {"results": ""}}'}))

    def half(fresh):
        fill(fresh, results="2")
        assert (folder / "results").read_text() == "1"
        raise OSError(28, "No space left on device")

    with pytest.raises(StudyError, match=r"x cannot be written \(No space left on device\); it is as it was"):
        publish(folder, half)
    assert {path.name for path in folder.iterdir()} == {"results", "manifest.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_is_no_part_of_a_report_moves_along_and_what_was_does_not(tmp_path):
    folder = tmp_path / "x"
    publish(folder, lambda fresh: fill(fresh, old="1", **{"manifest.json": '{"files": {"old": ""}}'}))
    fill(folder, **{"my notes.txt": "mine", "index.pdf": "of the old page"})
    (folder / "mine").mkdir()
    fill(folder / "mine", deep="too")
    publish(folder, lambda fresh: fill(fresh, new="2"))
    assert {path.name for path in folder.iterdir()} == {"new", "my notes.txt", "mine"}
    assert (folder / "mine" / "deep").read_text() == "too"


def test_without_an_exchange_in_one_step_a_stopped_run_is_put_right(tmp_path, monkeypatch):
    from clvmodels.study import publish as module

    monkeypatch.setattr(module, "_exchanged", lambda one, other: False)
    folder = tmp_path / "x"
    publish(folder, lambda fresh: fill(fresh, results="1"))
    publish(folder, lambda fresh: fill(fresh, results="2"))
    assert (folder / "results").read_text() == "2"
    folder.rename(tmp_path / ".x.old")  # where a run that stops between two renames leaves it
    recover(folder)
    assert (folder / "results").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# --- the watched process ---


SCRIPT = """
import os, signal, sys, time
from clvmodels.study.supervised import watch_of_environment
watch = watch_of_environment()
for unit in ("first", "second", "third"):
    if unit in watch.broken.get("s", {}):
        print(unit, "left:", watch.broken["s"][unit], flush=True)
        continue
    watch.begin("s", unit, 0.5)
    if unit == "second":
        MISHAP
    watch.end()
    print(unit, "made", flush=True)
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("mishap", "said"),
    [
        ("time.sleep(60)", "it took longer than 0.5 s ([limits] seconds)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process was stopped by SIGKILL: out of memory?"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its process was stopped by SIGSEGV: out of memory?"),
    ],
)
def test_a_unit_that_hangs_or_is_killed_costs_that_unit_alone(mishap, said, capfd):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert supervise([sys.executable, "-c", SCRIPT.replace("MISHAP", mishap)]) == 3
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "first made"
    assert lines[-2].startswith(f"second left: {said}")
    assert lines[-1] == "third made"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_with_its_children_and_says_how_to_go_on(tmp_path, number, code):
    pid = str(tmp_path / "pid")
    child = f"import pathlib, os, time; pathlib.Path({pid!r}).write_text(str(os.getpid())); time.sleep(60)"
    script = f"""
import sys
from clvmodels.study.supervised import supervise
sys.exit(supervise([sys.executable, "-c", {child!r}]))
"""
    run = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        subprocess.run(["sleep", "0.05"], check=True)
    run.send_signal(number)
    _, said = run.communicate(timeout=5)
    assert run.returncode == code
    assert "The same command goes on from there." in said
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


# --- the command line ---


def test_explain_says_what_would_run_and_why(copy, capsys):
    changed(copy, "replicates = 40", "replicates = 41")
    assert main(["study", str(copy / "odd.toml"), "--output", str(copy / "reports"), "--explain"]) == 0
    said = capsys.readouterr().out
    assert "odd: 2 of " in said
    assert "replicate            another setting of fit.replicates" in said
    assert current_folder(copy / "odd.toml", copy / "reports", None, pages=True) is None


def test_the_cache_is_shown_and_pruned_down_to_the_last_run(copy, capsys):
    output = str(copy / "reports")
    changed(copy, "replicates = 40", "replicates = 41")
    clv.run_study(copy / "odd.toml", output=output)
    assert main(["cache", "--output", output]) == 0
    lines = capsys.readouterr().out.splitlines()
    idle = [line.split()[1] for line in lines if line.endswith("  idle")]
    assert sorted(idle) == ["replicate", "results"]
    assert main(["cache", "--output", output, "--prune"]) == 0
    assert capsys.readouterr().out.startswith("2 entries removed")
    assert to_run(copy) == {}


def test_the_manifest_names_the_units_with_their_keys_and_every_file(home):
    folder = home / "reports" / "odd"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {"fit_all", "strategy", "results"} <= {step["name"] for step in manifest["steps"]}
    assert all(len(step["key"]) == 64 and step["seconds"] >= 0 for step in manifest["steps"])
    assert set(manifest["files"]) == set(digests(folder))
    assert manifest["files"] == digests(folder)
