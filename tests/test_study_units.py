"""Units of work: what rests on a change runs again, nothing else does, and what is kept is whole or not there."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from clvmodels.foundation.errors import DataError, EngineLimitError, StudyError, UnitsFailedError
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import CalibrationRow
from clvmodels.study import code
from clvmodels.study.code import code_digests
from clvmodels.study.config import CalendarTable
from clvmodels.study.packing import packed
from clvmodels.study.progress import Steps, silent
from clvmodels.study.store import Codec, Entry, Store
from clvmodels.study.strict import LimitsTable
from clvmodels.study.units import Units
from clvmodels.study.view import UndeclaredSetting, only, settings_at

ABOUT = Entry(study="s", unit="u", parts={}, seconds=0.0, megabytes=0.0)
TEXT = Codec[str](
    lambda value, folder: (folder / "value.txt").write_text(value) and None,
    lambda folder: (folder / "value.txt").read_text(),
)
KEY = "ab" + "0" * 62


# --- code ---


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose files may be changed; digests are of the copy."""
    copy = tmp_path / "clvmodels"
    shutil.copytree(Path(code.__file__).parents[1], copy, ignore=shutil.ignore_patterns("__pycache__"))
    caches = (code._place, code._module, code._is_module)
    place = code._place.__wrapped__

    def of_copy(module):
        found = place(module)
        return None if found is None else copy / found.relative_to(Path(code.__file__).parents[1])

    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(code, "_place", of_copy)

    def changed(file, old, new):
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
        for cache in caches[1:]:
            cache.cache_clear()

    yield changed
    for cache in caches:
        cache.cache_clear()


def differing(before, after):
    return {key for key in {**before, **after} if before.get(key) != after.get(key)}


def test_a_changed_formula_reaches_the_work_with_its_model_alone(package):
    of_fit = ["clvmodels.inference:fit"]
    roots = {name: [*of_fit, f"clvmodels.models.{name}"] for name in ("bg_nbd", "pareto_nbd")}
    before = {name: code_digests(root) for name, root in roots.items()}
    package(
        "models/bg_nbd.py", "ops.gammaln(r + x) - ops.gammaln(r) - x", "ops.gammaln(r + x) - ops.gammaln(r) - 2 * x"
    )
    after = {name: code_digests(root) for name, root in roots.items()}
    assert {key.partition(":")[0] for key in differing(before["bg_nbd"], after["bg_nbd"])} == {
        "clvmodels.models.bg_nbd"
    }
    assert before["pareto_nbd"] == after["pareto_nbd"]


def test_a_change_below_reaches_all_that_stands_on_it(package):
    before = code_digests(["clvmodels.inference:fit"])
    package("foundation/whole.py", "def require_seed", "COUNTED = 1\n\n\ndef require_seed")
    assert code_digests(["clvmodels.inference:fit"]) == before  # nothing names it
    package("foundation/whole.py", "2**64", "2**63")
    assert {key.partition(":")[0] for key in differing(before, code_digests(["clvmodels.inference:fit"]))} == {
        "clvmodels.foundation.whole"
    }


def test_comments_and_docstrings_change_nothing(package):
    before = code_digests(["clvmodels.models.bg_nbd"])
    package("models/bg_nbd.py", "\ndef ", "\n# a remark\n\n\ndef ")
    assert code_digests(["clvmodels.models.bg_nbd"]) == before


def test_words_in_a_file_are_part_of_the_code_that_names_it(package):
    before = code_digests(["clvmodels.strategy:value_matrix"])
    assert "strategy/vocabularies.toml" in before
    package("strategy/vocabularies.toml", 'high_high = "vip"', 'high_high = "best"')
    assert differing(before, code_digests(["clvmodels.strategy:value_matrix"])) == {"strategy/vocabularies.toml"}


def test_a_root_that_is_not_there_is_refused():
    with pytest.raises(LookupError, match="no_such_function"):
        code_digests(["clvmodels.strategy:no_such_function"])


# --- store ---


def test_what_was_kept_comes_back(tmp_path):
    store, value = Store(tmp_path / "kept"), Estimate(1.5, None, -0.1, 0.2, 1e300)
    store.keep(KEY, value, packed(), ABOUT)
    assert store.entry(KEY).unit == "u"
    assert store.read(KEY, packed()) == value
    assert not list(store.root.glob(".unfinished*"))


@pytest.mark.parametrize("file", ["value.txt", "entry.json"])
@pytest.mark.parametrize("harm", ["a bit", "cut short", "empty", "gone"])
def test_a_harmed_entry_is_set_aside_and_never_read(tmp_path, file, harm):
    store = Store(tmp_path)
    store.keep(KEY, "a value", TEXT, ABOUT)
    path = store._folder(KEY) / file
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"a bit": bytes([content[0] ^ 1]) + content[1:], "cut short": content[:-1], "empty": b""}[harm]
        )
    assert store.entry(KEY) is None
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == [KEY]
    store.keep(KEY, "a value", TEXT, ABOUT)
    assert store.read(KEY, TEXT) == "a value"


def test_two_entries_that_are_swapped_are_not_taken(tmp_path):
    store, other = Store(tmp_path), "ab" + "1" * 62
    store.keep(KEY, "one", TEXT, ABOUT)
    store.keep(other, "two", TEXT, ABOUT)
    one, two, between = store._folder(KEY), store._folder(other), tmp_path / "between"
    one.rename(between), two.rename(one), between.rename(two)
    assert store.entry(KEY) is None
    assert store.entry(other) is None


def test_an_entry_that_is_there_already_stays(tmp_path):
    store = Store(tmp_path)
    store.keep(KEY, "first", TEXT, ABOUT)
    store.keep(KEY, "second", TEXT, ABOUT)
    assert store.read(KEY, TEXT) == "first"


def test_what_the_last_runs_rest_on_outlives_pruning(tmp_path):
    store, other = Store(tmp_path), "cd" + "0" * 62
    for key in (KEY, other):
        store.keep(key, "a value", TEXT, ABOUT)
    store.note_run("s", {"keys": [KEY]})
    assert store.prune() == [other]
    assert [key for key, _ in store.entries()] == [KEY]


def test_what_dead_runs_left_is_swept_away_and_that_of_others_stays(tmp_path):
    script = f"""
from pathlib import Path
from clvmodels.study.store import Store
print(Store(Path({str(tmp_path)!r})).leftovers.new())
"""
    dead = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    store = Store(tmp_path)
    mine = store.leftovers.new()
    assert Path(dead).is_dir()
    store.leftovers.sweep()
    assert (Path(dead).exists(), mine.exists()) == (False, True)


def test_a_full_disk_is_told_with_the_folder(tmp_path):
    def full(value, folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(StudyError, match="No space left on device"):
        Store(tmp_path).keep(KEY, "x", Codec(full, TEXT.read), ABOUT)
    assert not list(tmp_path.iterdir())


# --- units ---


class Table(msgspec.Struct, frozen=True):
    draws: int = 10
    method: str = "laplace"

    @property
    def twice(self):
        return 2 * self.draws


class Small(msgspec.Struct, frozen=True):
    fit: Table = Table()
    extra: Table | None = None
    by_key: dict[str, Table] = {}
    seed: int = 1
    limits: LimitsTable = LimitsTable()

    def scaled(self, by):
        return by * self.fit.draws


MADE = []


def read(study, *, rows):
    MADE.append("read")
    return int(rows)


def double(study, rows):
    MADE.append("double")
    return 2 * rows


def draw(study):
    MADE.append("draw")
    return list(range(study.fit.draws))


def both(study, doubled, drawn):
    MADE.append("both")
    return doubled + len(drawn)


def run(tmp_path, *, draws=10, rows="1", still=lambda: None):
    """A small study: rows are read (not kept), doubled, and put together with what is drawn beside."""
    MADE.clear()
    study = Small(fit=Table(draws=draws))
    units = Units(study, "small", Store(tmp_path), Steps(0, silent), still)
    log = units.unit("read", "read", read, inputs={"rows": rows}, unkeyed={"rows": rows}, codec=None)
    doubled = units.unit("double", "double", double, needs=[log], code=["clvmodels.study.units:_changed"])
    drawn = units.unit("draw", "draw", draw, settings=["fit.draws"])
    return units, units.unit("both", "both", both, needs=[doubled, drawn])


def test_a_second_run_makes_nothing(tmp_path):
    assert run(tmp_path)[1]() == 12
    assert sorted(MADE) == ["both", "double", "draw", "read"]
    _, again = run(tmp_path)
    assert again() == 12
    assert MADE == []


def test_a_changed_setting_reaches_what_rests_on_it_alone(tmp_path):
    run(tmp_path)[1]()
    units, last = run(tmp_path, draws=20)
    assert [(why.unit, why.kind, why.what) for why in units.reasons()] == [
        ("draw", "setting", ("fit.draws",)), ("both", "need", ("draw",)),
    ]  # fmt: skip
    assert last() == 22
    assert MADE == ["draw", "both"]


def test_a_changed_row_reaches_what_reads_it_alone(tmp_path):
    run(tmp_path)[1]()
    units, last = run(tmp_path, rows="5")
    assert [(why.unit, why.kind, why.what) for why in units.reasons()] == [
        ("double", "need", ("read",)), ("both", "need", ("double",)),
    ]  # fmt: skip
    assert [unit.name for unit in units.to_make()] == ["read", "double", "both"]
    assert last() == 20
    assert MADE == ["read", "double", "both"]


def test_a_unit_that_breaks_is_named_at_the_end_and_all_others_are_kept(tmp_path):
    def broken(study):
        raise ZeroDivisionError("no")

    units, _ = run(tmp_path)
    failing = units.unit("broken", "broken", broken)
    units.unit("resting", "resting", both, needs=[failing, failing])
    units.unit("after", "after", draw, settings=["fit.draws"])
    with pytest.raises(StudyError, match=r"1 unit.*broken: ZeroDivisionError: no.*not made.*: resting\."):
        units.run()
    assert MADE == ["read", "double", "draw", "both", "draw"]
    units, again = run(tmp_path)
    assert (again(), MADE) == (12, [])


def test_without_memory_the_unit_is_named_with_what_helps(tmp_path):
    def hungry(study):
        raise MemoryError

    units, _ = run(tmp_path)
    units.unit("hungry", "hungry", hungry)
    with pytest.raises(StudyError, match=r"hungry: out of memory\. Fewer draws"):
        units.run()


def test_an_engine_without_memory_costs_the_units_that_need_it_alone(tmp_path):
    """It was once taken for bad input, which ends a run: no unit was named, and the others were not made."""

    def hungry(study):
        raise EngineLimitError("the data engine has not enough memory. Give it more by clv.engine_limits(memory=...).")

    units = Units(Small(), "small", Store(tmp_path), Steps(0, silent))
    units.unit("hungry", "hungry", hungry, codec=None)
    resting = units.unit("resting", "resting", both, needs=[units.known["hungry"]])
    units.unit("draw", "draw", draw, settings=["fit.draws"])
    MADE.clear()
    with pytest.raises(UnitsFailedError, match=r"hungry: the data engine.*engine_limits.*not made.*: resting\."):
        units.run()
    assert MADE == ["draw"]
    with pytest.raises(UnitsFailedError, match="hungry: the data engine"):  # also where it is asked for outside a run
        resting()


def test_bad_input_stops_a_run_at_once(tmp_path):
    def refused(study):
        raise DataError("row 7: no date")

    units = Units(Small(), "small", Store(tmp_path), Steps(0, silent))
    units.unit("refused", "refused", refused)
    units.unit("draw", "draw", draw, settings=["fit.draws"])
    MADE.clear()
    with pytest.raises(DataError, match="row 7"):
        units.run()
    assert MADE == []


def test_nothing_is_kept_of_inputs_that_change_meanwhile(tmp_path):
    def changed():
        raise StudyError("changed")

    with pytest.raises(StudyError, match="changed"):
        run(tmp_path, still=changed)[1]()
    assert not list(Store(tmp_path).entries())


def test_a_section_with_a_number_that_is_none_fails_its_unit(tmp_path):
    def torn(study):
        return CalibrationRow("all", 1, float("nan"), 0.0, 0.0, 0.0)

    units = Units(Small(), "small", Store(tmp_path), Steps(0, silent))
    units.unit("torn", "torn", torn)
    with pytest.raises(StudyError, match=r"torn: NoNumber: value\.actual is nan"):
        units.run()
    assert not list(Store(tmp_path).entries())


def test_a_unit_reads_the_settings_that_its_key_holds_and_no_others():
    study = Small(by_key={"a": Table(3), "b": Table(4)})
    seen = only(study, ["fit.draws", "by_key.a", "extra.draws"])
    assert (seen.fit.draws, seen.fit.twice, seen.scaled(3), seen.by_key["a"].method) == (10, 20, 30, "laplace")
    assert seen.extra is None
    for read in (
        lambda: seen.seed,
        lambda: seen.fit.method,
        lambda: seen.by_key["b"],
    ):
        with pytest.raises(UndeclaredSetting):
            read()
    assert settings_at(study, ["fit", "by_key.b.draws", "extra.draws"]) == {
        "fit": {"draws": 10, "method": "laplace"}, "by_key.b.draws": 4, "extra.draws": None,
    }  # fmt: skip


def test_keys_are_the_same_in_another_process(tmp_path):
    script = f"""
from tests.test_study_units import run
from pathlib import Path
import json
print(json.dumps([unit.key for unit in run(Path({str(tmp_path)!r}))[0].known.values()]))
"""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(told.stdout) == [unit.key for unit in run(tmp_path)[0].known.values()]


# --- values on disk ---


def kept_and_read(value, folder):
    packed().write(value, folder)
    return packed().read(folder)


def test_values_come_back_as_they_were(tmp_path):
    value = {
        ("a", 1): [np.arange(6.0).reshape(2, 3), np.array(["x", None, "y"], dtype=object)],
        "days": (dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 1, 2, 3)),
        "numbers": [1, 2.5, float("inf"), True, None, np.int64(7), np.datetime64("2024-02-29")],
        "record": Estimate(1.0, None, 0.1, 0.2, 0.3),
        "settings": CalendarTable(waves=3),
    }
    again = kept_and_read(value, tmp_path)
    np.testing.assert_array_equal(again[("a", 1)][0], value[("a", 1)][0])
    assert again[("a", 1)][1].tolist() == ["x", None, "y"]
    assert again["days"] == value["days"]
    assert again["numbers"] == value["numbers"]
    assert again["settings"] == value["settings"]
    assert (again["record"], again["numbers"][-1].dtype) == (value["record"], np.dtype("<M8[D]"))


def test_a_table_comes_back_as_it_was(tmp_path):
    table = pd.DataFrame({"id": ["007", "x"], "n": [1, 2], "v": [np.nan, 0.1], "b": [True, False]})
    pd.testing.assert_frame_equal(kept_and_read(table, tmp_path), table)


def test_a_fit_comes_back_as_it_was(tmp_path, bg_nbd_fit):
    again = kept_and_read((bg_nbd_fit, bg_nbd_fit.model.name), tmp_path)[0]
    xr.testing.assert_identical(again.draws, bg_nbd_fit.draws)
    assert (again.checks, again.priors, again.point) == (bg_nbd_fit.checks, bg_nbd_fit.priors, bg_nbd_fit.point)


def test_a_fit_that_the_disk_has_no_room_for_is_one_error_and_not_the_end_of_the_process(tmp_path):
    """HDF5, which wrote into the file itself, left tracebacks of its own where that failed, or ended the process."""
    script = f"""
import resource, signal
import clvmodels as clv
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fit = clv.fit_at("bg_nbd", {{"r": 0.24, "alpha": 4.4, "a": 0.8, "b": 2.4}}, unit="week")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    fit.save({str(tmp_path / "fit.nc")!r})
except clv.FitError as problem:
    print(problem)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "fit.nc could not be written (File too large)" in run.stdout
    assert run.stderr == ""
    assert not list(tmp_path.iterdir())


def test_nothing_but_records_of_this_package_is_ever_made_from_a_file(tmp_path):
    for kind in ("subprocess:Popen", "clvmodels.cli:main", "os:system", "clvmodels.study.store:Path"):
        (tmp_path / "value.json").write_bytes(msgspec.json.encode({"$": "record", "kind": kind, "of": {}}))
        with pytest.raises(TypeError, match="no record"):
            packed().read(tmp_path)


def test_what_is_no_data_is_refused_with_its_place(tmp_path):
    with pytest.raises(TypeError, match=r"value\['deep'\]\[0\] is a function"):
        packed().write({"deep": [lambda: 1]}, tmp_path)
