"""Units of work: what rests on a change runs again, nothing else does, and what is kept is whole or not there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import Estimate
from clvmodels.study import code
from clvmodels.study.code import code_digests
from clvmodels.study.progress import Steps, silent
from clvmodels.study.store import Codec, Entry, Store, records
from clvmodels.study.units import Units

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
    store.keep(KEY, value, records(Estimate), ABOUT)
    assert store.entry(KEY).unit == "u"
    assert store.read(KEY, records(Estimate)) == value
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
    store.note_run("s", [KEY])
    assert store.prune() == [other]
    assert [key for key, _ in store.entries()] == [KEY]


def test_what_dead_runs_left_is_swept_away_and_that_of_others_stays(tmp_path):
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    store = Store(tmp_path)
    host = __import__("clvmodels.study.store", fromlist=["_host"])._host()
    names = {pid: tmp_path / f".unfinished.{host}.{pid}.x" for pid in (int(dead.stdout), os.getpid())}
    for path in names.values():
        path.mkdir()
    store.sweep()
    assert [path.exists() for path in names.values()] == [False, True]


def test_a_full_disk_is_told_with_the_folder(tmp_path):
    def full(value, folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(StudyError, match="No space left on device"):
        Store(tmp_path).keep(KEY, "x", Codec(full, TEXT.read), ABOUT)
    assert not list(tmp_path.iterdir())


# --- units ---


def run(tmp_path, *, draws=10, rows="1", made=None):
    """A small study: rows are read (not kept), doubled, and squared beside; what was made is noted."""
    made = [] if made is None else made
    units = Units("small", Store(tmp_path), Steps(3, silent))

    def noted(name, value):
        made.append(name)
        return value

    read = units.unit("read", "read", lambda: noted("read", int(rows)), code=[], inputs={"rows": rows})
    double = units.unit(
        "double", "double", lambda: noted("double", 2 * read()), code=["clvmodels.study.units:_changed"], needs=[read],
        codec=records(int),
    )  # fmt: skip
    draw = units.unit(
        "draw", "draw", lambda: noted("draw", np.arange(draws).tolist()), code=[], settings={"draws": draws},
        codec=records(list[int]),
    )  # fmt: skip
    both = units.unit(
        "both", "both", lambda: noted("both", double() + len(draw())), code=[], needs=[double, draw], codec=records(int)
    )
    return units, both, made


def test_a_second_run_makes_nothing(tmp_path):
    _, both, made = run(tmp_path)
    assert both() == 12
    assert sorted(made) == ["both", "double", "draw", "read"]
    _, again, made = run(tmp_path)
    assert again() == 12
    assert made == []


def test_a_changed_setting_reaches_what_rests_on_it_alone(tmp_path):
    run(tmp_path)[1]()
    units, both, made = run(tmp_path, draws=20)
    assert [(why.unit, why.kind, why.what) for why in units.to_run()] == [
        ("draw", "setting", ("draws",)), ("both", "need", ("draw",)),
    ]  # fmt: skip
    assert both() == 22
    assert made == ["draw", "both"]


def test_a_changed_row_reaches_what_reads_it_alone(tmp_path):
    run(tmp_path)[1]()
    units, both, made = run(tmp_path, rows="5")
    assert [(why.unit, why.kind, why.what) for why in units.to_run()] == [
        ("double", "need", ("read",)), ("both", "need", ("double",)),
    ]  # fmt: skip
    assert both() == 20
    assert made == ["read", "double", "both"]


def test_a_unit_that_fails_keeps_those_before_it(tmp_path):
    units, both, made = run(tmp_path)
    broken = units.unit("broken", "broken", lambda: 1 // 0, code=[], needs=[both], codec=records(int))
    with pytest.raises(ZeroDivisionError):
        broken()
    _, again, made = run(tmp_path)
    assert (again(), made) == (12, [])


def test_asking_for_what_was_not_named_is_a_mistake(tmp_path):
    units, both, _ = run(tmp_path)
    sly = units.unit("sly", "sly", lambda: both() + 1, code=[], codec=records(int))
    with pytest.raises(AssertionError, match="sly asks for both"):
        sly()


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
