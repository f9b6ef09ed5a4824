"""A report that belongs to its results, study and data is said to belong; one with anything amiss is not."""

import json
import os
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.data.digests import source_digest
from clvmodels.foundation.errors import DataError, StudyError
from clvmodels.report.origin import content_digest, origin_of
from clvmodels.report.verify import MOST_EXTRA
from clvmodels.study import outputs, read_study
from clvmodels.study.files import StudyFile
from tests.contest_report_fixture import fixture_contest
from tests.report_fixture import fixture_results
from tests.test_study_retention import study_text

LANGUAGES = ("en", "zh")
PAGES = ("index.html", "index.zh.html")
CONTRACTS = '[contracts]\nunit = "month"\ncurrency = "EUR"\nsource = "contracts.csv"\nobservation_end = 2024-06-01'
HEAD = 'kind = "retention"\nname = "small"\nseed = 3\nlanguages = ["en", "zh"]\n[title]\nen = "Small"\nzh = "小"'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A home with a study file, its data, and the report of a run, pages and all."""
    home = tmp_path_factory.mktemp("home")
    ends = ["2024-02-01", "2024-03-01", "2024-03-01", "2024-05-01", *[""] * 8]
    rows = [f"c{place},2024-01-01,{ends[place % len(ends)]}" for place in range(240)]
    (home / "contracts.csv").write_text("\n".join(["customer_id,start,end", *rows]), encoding="utf-8")
    (home / "small.toml").write_text(study_text(head=HEAD, contracts=CONTRACTS), encoding="utf-8")
    before = Path.cwd()
    os.chdir(home)
    try:
        assert main(["study", "small.toml"]) == 0
    finally:
        os.chdir(before)
    return home


@pytest.fixture
def home(run, tmp_path, monkeypatch):
    """A copy of it to spoil, from which commands are given."""
    place = tmp_path / "home"
    shutil.copytree(run, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def folder(home):
    return home / "reports" / "small"


def state_of(verification, subject):
    (finding,) = [finding for finding in verification.findings if finding.subject == subject]
    return finding.state


def write_run(folder, results, *, data, study="small.toml"):
    """A folder as a run of any kind leaves it, but for its tables and pages."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs.write_results(results, folder / "results.json")
    file = StudyFile(None, Path(study), results.study.study_digest)
    outputs.write_manifest(folder, "", file, {"seed": results.study.seed, **data}, {})


# --- what is whole ---


def test_a_report_as_its_run_left_it_is_all_well(folder, capsys):
    assert main(["verify", str(folder)]) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    assert verdict.startswith("all well: ")
    for subject in ("results.json", "curves.csv", *PAGES, "study small.toml", "data"):
        assert any(re.match(rf"same +{re.escape(subject)}:", line) for line in lines), subject


def test_a_finding_is_a_row_of_the_frame(folder):
    found = clv.verify_report(folder)
    frame = found.to_pandas()
    assert list(frame.columns) == ["subject", "state", "words"]
    assert len(frame) == len(found.findings) == len({finding.subject for finding in found.findings})


def test_pages_made_again_belong_as_the_first_did(folder):
    before = {name: (folder / name).read_bytes() for name in PAGES}
    for name in PAGES:
        (folder / name).unlink()
    assert [state_of(clv.verify_report(folder), name) for name in PAGES] == ["missing", "missing"]
    for language in LANGUAGES:
        clv.render_report(folder, language=language)
    assert clv.verify_report(folder).belongs
    assert {name: (folder / name).read_bytes() for name in PAGES} == before


def test_pages_made_again_do_not_make_a_changed_table_pass_for_the_run_s_own(folder):
    (folder / "values.csv").write_bytes((folder / "values.csv").read_bytes() + b" ")
    (folder / "index.html").unlink()
    assert main(["report", str(folder)]) == 0
    assert [finding.subject for finding in clv.verify_report(folder).amiss] == ["values.csv"]


# --- what is not ---


def edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize("name", ["results.json", "curves.csv", "values.csv", "survivors.csv"])
def test_a_changed_and_a_missing_file_are_named(name, folder):
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    assert state_of(clv.verify_report(folder), name) == "changed"
    path.unlink()
    found = clv.verify_report(folder)
    assert state_of(found, name) == "missing"
    assert not found.belongs
    assert name in found.verdict


def test_pages_of_other_results_are_named_in_both_languages(home, folder):
    (home / "other.toml").write_text(study_text(head=HEAD.replace("seed = 3", "seed = 4"), contracts=CONTRACTS))
    clv.run_study("other.toml", output="other")
    shutil.copy(home / "other" / "small" / "results.json", folder)
    found = clv.verify_report(folder)
    assert [state_of(found, name) for name in ("results.json", *PAGES)] == ["changed"] * 3
    assert state_of(found, "results.json and manifest.json") == "changed"
    assert "other results" in found.to_pandas().set_index("subject").loc["index.html", "words"]


def test_a_page_with_one_edited_number_is_named(folder):
    number = re.search(rb"<td[^>]*>([0-9][0-9.,]+)</td>", (folder / "index.html").read_bytes())[1]
    edit(folder / "index.html", b">" + number + b"<", b">9" + number + b"<")
    assert [finding.subject for finding in clv.verify_report(folder).amiss] == ["index.html"]


def test_a_page_that_does_not_say_what_it_was_made_from_is_named(folder):
    page = folder / "index.zh.html"
    page.write_bytes(re.sub(rb'<meta name="clvmodels-results"[^>]*>', b"", page.read_bytes()))
    assert [finding.subject for finding in clv.verify_report(folder).amiss] == ["index.zh.html"]


def test_a_page_cut_short_is_named(folder):
    page = folder / "index.html"
    page.write_bytes(page.read_bytes()[:-100])
    assert state_of(clv.verify_report(folder), "index.html") == "changed"


def test_files_from_elsewhere_are_named_but_not_without_end(folder):
    for place in range(MOST_EXTRA + 5):
        (folder / f"note{place:02}.txt").write_text("mine")
    extra = [finding for finding in clv.verify_report(folder).findings if finding.state == "extra"]
    assert [extra[0].subject, extra[-1].subject] == ["note00.txt", "5 more files"]
    assert len(extra) == MOST_EXTRA + 1


def test_any_one_flipped_bit_is_found(folder):
    """Outside the manifest's costs and a page's fonts, which hold no result."""
    chance = random.Random(20)
    for name in ("results.json", "values.csv", *PAGES):
        whole = (folder / name).read_bytes()
        free = re.sub(
            rb"@font-face\{[^}]*\}|<!-- costs -->.*?<!-- /costs -->",
            lambda m: b"\0" * len(m[0]),
            whole,
            flags=re.DOTALL,
        )
        places = [place for place in range(len(whole)) if free[place]]
        for place in chance.sample(places, 12):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << chance.randrange(8)
            (folder / name).write_bytes(flipped)
            assert state_of(clv.verify_report(folder), name) == "changed", (name, place)
        (folder / name).write_bytes(whole)


def test_the_digest_of_a_page_leaves_out_what_it_says_it_leaves_out():
    page = b"<head>@font-face{a}</head><body>1<!-- costs -->2<!-- /costs -->3</body>"
    other = b"<head>@font-face{bb}</head><body>1<!-- costs -->4<!-- /costs -->3</body>"
    assert content_digest(page) == content_digest(other)
    assert content_digest(page) != content_digest(page.replace(b">3<", b">5<"))
    assert content_digest(page) != content_digest(page.replace(b"<!-- /costs -->", b""))
    assert origin_of(page).results is None


# --- study and data ---


def test_a_changed_study_file_is_named_and_one_that_is_gone_is_not_held_against(home, folder):
    edit(home / "small.toml", b"price = 10.0", b"price = 11.0")
    assert state_of(clv.verify_report(folder), "study small.toml") == "changed"
    shutil.move(home / "small.toml", home / "elsewhere.txt")
    found = clv.verify_report(folder)
    assert state_of(found, "study small.toml") == "not checked"
    assert found.belongs
    edit(home / "elsewhere.txt", b"price = 11.0", b"price = 10.0")
    assert state_of(clv.verify_report(folder, study="elsewhere.txt"), "study small.toml") == "same"


def test_of_two_study_files_of_one_name_the_one_that_was_run_is_found(home, folder):
    (home / "studies").mkdir()
    shutil.move(home / "small.toml", home / "studies" / "small.toml")
    (home / "small.toml").write_text("another")
    assert state_of(clv.verify_report(folder), "study small.toml") == "same"


def test_changed_data_are_named_and_data_elsewhere_are_looked_for(home, folder):
    shutil.copy(home / "contracts.csv", home / "moved.csv")
    edit(home / "contracts.csv", b"2024-02-01", b"2024-02-02")
    assert state_of(clv.verify_report(folder), "data") == "changed"
    assert clv.verify_report(folder, "moved.csv").belongs
    (home / "contracts.csv").unlink()
    found = clv.verify_report(folder)
    assert (state_of(found, "data"), found.belongs) == ("not checked", True)
    with pytest.raises(DataError, match="no such file"):
        clv.verify_report(folder, "nowhere.csv")


def test_a_table_in_the_study_file_is_held_against_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(study_text())
    clv.run_study("small.toml")
    assert state_of(clv.verify_report("reports/small"), "data") == "same"
    edit(Path("small.toml"), b"[400, 300", b"[400, 301")
    assert state_of(clv.verify_report("reports/small"), "data") == "changed"
    Path("small.toml").unlink()
    assert state_of(clv.verify_report("reports/small"), "data") == "not checked"


def test_the_log_of_a_study_of_purchases_is_held_against_its_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("jan.csv", "feb.csv"):
        Path(name).write_text(f"customer_id,date,amount\n1,1997-01-01,{len(name)}\n")
    info = replace(fixture_results().study, source="*.csv", data_digest=source_digest("*.csv"), study_digest="b" * 64)
    write_run(Path("out"), replace(fixture_results(), study=info), data={"data_digest": info.data_digest})
    assert state_of(clv.verify_report("out"), "data") == "same"
    assert clv.read_transactions("*.csv").digest == info.data_digest
    Path("mar.csv").write_text("customer_id,date,amount\n1,1997-03-01,3\n")
    assert state_of(clv.verify_report("out"), "data") == "changed"


def test_each_data_set_of_a_contest_is_checked_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("customer_id,date,amount\n1,1997-01-01,5\n")
    contest = fixture_contest()
    own, told, *_ = contest.data
    own, told = replace(own, kind="log", source="log.csv"), replace(told, kind="simulated", source="")
    digests = {own.key: source_digest("log.csv"), told.key: "c" * 64}
    info = replace(contest.study, data_digests=digests, study_digest="b" * 64)
    write_run(Path("out"), replace(contest, study=info, data=[own, told]), data={"data_digests": digests})
    found = clv.verify_report("out")
    assert (state_of(found, f"data {own.key}"), state_of(found, f"data {told.key}")) == ("same", "not checked")
    shutil.move("log.csv", "moved.csv")
    assert state_of(clv.verify_report("out", f"{own.key}=moved.csv"), f"data {own.key}") == "same"
    with pytest.raises(StudyError, match=f"expected one of {own.key}=PATH"):
        clv.verify_report("out", "moved.csv")


def test_the_digest_of_a_source_is_the_one_that_reading_it_notes():
    assert source_digest("dataset:cdnow_sample") == clv.read_transactions("dataset:cdnow_sample").digest
    assert source_digest("dataset:donations") == clv.donor_summary()[1]
    with pytest.raises(DataError, match="no such data set"):
        source_digest("dataset:nothing")


def test_further_files_that_the_study_read_are_held_against_the_manifest(home, folder):
    (home / "traits.csv").write_text("customer_id,plan\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["inputs"] = {"traits.csv": source_digest("traits.csv"), "gone.csv": "a" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = clv.verify_report(folder)
    assert [state_of(found, f"input {name}.csv") for name in ("traits", "gone")] == ["same", "not checked"]
    (home / "traits.csv").write_text("customer_id,plan,age\n")
    assert state_of(clv.verify_report(folder), "input traits.csv") == "changed"


def test_a_further_file_is_looked_for_beside_the_study_file_too(home, folder):
    (home / "studies").mkdir()
    shutil.move(home / "small.toml", home / "studies" / "small.toml")
    (home / "studies" / "ours.toml").write_text("[matrix]")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["inputs"] = {"ours.toml": source_digest("studies/ours.toml")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert state_of(clv.verify_report(folder), "input ours.toml") == "same"


# --- checks of fits ---


def test_the_checks_of_every_fit_are_told(folder, capsys):
    found = clv.verify_report(folder)
    rows = json.loads((folder / "results.json").read_text())["fits"]
    stated = [{check["key"]: check["passed"] for check in row["checks"]} for row in rows]
    assert [fit.checks for fit in found.fits] == stated
    assert all(stated)
    assert [(folder / fit.draws).is_file() for fit in found.fits] == [True] * len(rows)
    main(["verify", str(folder)])
    every = sum(map(len, stated))
    assert f"checks of {len(rows)} fits: {every} of {every} passed\nall well" in capsys.readouterr().out


def test_checks_that_failed_are_named_with_what_came_of_it(folder):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    (fit, *_) = manifest["fits"]
    key = next(iter(fit["checks"]))
    fit["checks"][key], fit["allowed"] = False, [key]
    manifest["fits"].append({"model": "geometric", "learnt_from": "A, its first 3", "checks": {"ess": False}})
    path.write_text(json.dumps(manifest))
    _, allowed, left_out = clv.verify_report(folder).of_fits
    assert allowed == f"{fit['model']} by {fit['method']}, {fit['learnt_from']}: failed {key}; the study allows it"
    assert left_out == "geometric, A, its first 3: failed ess; it was left out"


# --- what is damaged or hostile ---

DAMAGED = {
    "empty": b"",
    "half": b'{"study": "small.toml", "stu',
    "list": b"[1, 2]",
    "no text": b"\xff\xfe\x00",
    "number": b'{"study": 1e999}',
    "deep": b'{"study":' + b"[" * 200_000,
    "closed": b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "null": b"null",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_manifest_is_bad_input_and_damaged_results_are_named(content, folder, capsys):
    whole = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(content)
    assert main(["verify", str(folder)]) == 2
    assert "manifest.json" in capsys.readouterr().err
    (folder / "manifest.json").write_bytes(whole)
    (folder / "results.json").write_bytes(content)
    assert main(["verify", str(folder)]) == 1
    assert "changed      results.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [("files", {"results.json": "abc"}), ("seed", "three"), ("study_digest", None), ("versions", [1]), ("files", 3)],
)
def test_a_manifest_with_a_wrong_value_is_refused(name, value, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {name: value}))
    with pytest.raises(StudyError, match=name):
        clv.verify_report(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/hostname", "draws/../../secret", "..\\secret", "C:\\secret", "", "a\0b"]
)
def test_a_manifest_cannot_name_a_file_outside_the_folder(name, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = "a" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StudyError, match="no path inside the folder"):
        clv.verify_report(folder)


def test_links_and_pipes_are_named_and_not_followed(home, folder):
    """A link to the very same bytes, one to a device that never ends, a pipe that nobody writes into, a folder."""
    shutil.move(folder / "values.csv", home / "values.csv")
    (folder / "values.csv").symlink_to(home / "values.csv")
    (folder / "curves.csv").unlink()
    os.mkfifo(folder / "curves.csv")
    (folder / "survivors.csv").unlink()
    (folder / "survivors.csv").mkdir()
    for name in ("results.json", "index.html"):
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    found = clv.verify_report(folder)
    names = ("values.csv", "curves.csv", "survivors.csv", "results.json", "index.html")
    assert [state_of(found, name) for name in names] == ["changed"] * 5
    assert state_of(found, "loop") == "extra"


def test_a_folder_of_draws_that_is_a_link_is_not_followed(home, folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    name = next((folder / "draws").iterdir()).name
    manifest["files"][f"draws/{name}"] = source_digest(str(folder / "draws" / name))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert state_of(clv.verify_report(folder), f"draws/{name}") == "same"
    shutil.move(folder / "draws", home / "draws")
    (folder / "draws").symlink_to(home / "draws")
    assert state_of(clv.verify_report(folder), f"draws/{name}") == "changed"


def test_names_of_files_cannot_act_on_the_terminal(folder, capsys):
    (folder / "a\x1b[2Jb\nall well.txt").write_text("")
    assert main(["verify", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"a\x1b[2Jb\nall well.txt" in out


def test_a_folder_that_is_no_report_is_bad_input(tmp_path, capsys):
    for place in (tmp_path, tmp_path / "missing"):
        assert main(["verify", str(place)]) == 2
    assert "Run the study first" in capsys.readouterr().err


def test_the_reader_of_the_manifest_knows_what_its_writer_writes(run):
    from clvmodels.study.manifest import read_manifest

    manifest = read_manifest(run / "reports" / "small")
    assert manifest.study_digest == read_study(run / "small.toml").digest
    assert manifest.seed == 3
    assert manifest.versions["numpy"]
    assert set(manifest.files) >= {"results.json", "curves.csv"}
