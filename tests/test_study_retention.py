"""A study of retention, from its file to its folder."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.report.reading import read_results
from clvmodels.study import read_study
from clvmodels.study.retention_config import RetentionStudy

ROOT = Path(__file__).parents[1]
SURVIVORS = {"A": [400, 300, 240, 205, 180, 165], "B": [300, 285, 255, 235, 220, 210]}


def study_text(**changed: str) -> str:
    """A small study; a changed table replaces its own."""
    tables = {
        "head": 'kind = "retention"\nname = "small"\nseed = 3\nlanguages = ["en"]\n[title]\nen = "Small"',
        "contracts": '[contracts]\nunit = "month"\ncurrency = "EUR"\nsurvivors = '
         "{ " + ", ".join(f"{name} = {counts}" for name, counts in SURVIVORS.items()) + " }",
        "models": '[models]\nmain = "sbg"\nrivals = ["geometric"]',
        "fit": "[fit]\ndraws = 400",
        "check": "[check]\nlearn_to = [3]\nahead = 4",
        "value": "[value]\nprice = 10.0\nannual_discount_rate = 0.10",
    }  # fmt: skip
    return "\n".join((tables | changed).values())


def write(folder, **changed):
    file = folder / "small.toml"
    file.write_text(study_text(**changed))
    return file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return clv.run_study(write(folder), output=folder), folder


def test_its_numbers_are_those_of_the_functions(run):
    results, _ = run
    table = clv.RetentionTable.from_survivors(
        pd.DataFrame({"age": range(6), "survivors": SURVIVORS["A"]}), unit="month", currency="EUR"
    )
    fit = clv.fit("sbg", table, draws=400, seed=9)
    there = clv.retention_value(fit, table, price=10.0, annual_discount_rate=0.10)
    (worth,) = [row for row in results.worth if row.segment == "A"]
    assert worth.active == 165
    error = worth.equity.sd / 20  # of a mean of 400 draws
    assert worth.equity.mean == pytest.approx(there.equity.mean(), abs=4 * 1.5 * error)  # another seed
    (row,) = [row for row in results.values if (row.segment, row.age) == ("A", 2.0)]
    at_two = replace(table.take([0]), age=table.age[:1] * 0 + 2, entry=table.entry[:1] * 0, lost=table.lost[:1] & False)
    derl = clv.predict(fit, at_two, quantity="derl", annual_discount_rate=0.10, due=1.0)
    assert row.derl.mean == pytest.approx(derl.mean[0], abs=4 * (row.derl.sd + derl.sd[0]) / 20)  # 400 draws each
    assert row.value.mean == pytest.approx(10 * row.derl.mean, rel=1e-9)
    assert row.outcome.mean == pytest.approx(row.value.mean, rel=0.2)
    assert row.outcome.sd > 5 * row.value.sd


def test_all_together_is_the_sum_of_the_segments(run):
    results, _ = run
    *segments, together = results.worth
    assert together.segment == ""
    assert together.active == sum(row.active for row in segments)
    assert together.equity.mean == pytest.approx(sum(row.equity.mean for row in segments))
    assert together.change.mean == pytest.approx(sum(row.change.mean for row in segments))
    assert together.equity.sd < sum(row.equity.sd for row in segments)  # they are independent


def test_back_tests_read_no_later_number(run):
    """A table whose later survivors are others has the same forecast, and another score."""
    from clvmodels.study.retention_segments import back_tests

    results, folder = run
    study = read_study(folder / "small.toml").study
    assert isinstance(study, RetentionStudy)
    counts = [*SURVIVORS["A"][:4], 100, 20]
    other = clv.RetentionTable.from_survivors(pd.DataFrame({"age": range(6), "survivors": counts}), unit="month")
    tests, _ = back_tests(study, "A", other)
    ours = [test for test in results.back_tests if test.segment == "A"]
    for one, another in zip(ours, tests, strict=True):
        expected = [point.expected for point in another.points]
        assert [point.expected for point in one.points[:4]] == expected[:4]
        assert [point.expected for point in one.points[4:]] == pytest.approx(expected[4:], rel=0.01)  # other streams
        assert [point.actual for point in another.points] == counts
        assert another.error > one.error


def test_a_segment_of_late_entries_has_no_back_test(run):
    from clvmodels.study.retention_segments import back_tests

    study = read_study(run[1] / "small.toml").study
    late = clv.RetentionTable.from_survivors(
        pd.DataFrame({"age": range(1, 7), "survivors": SURVIVORS["A"]}), unit="month"
    )
    assert back_tests(study, "A", late) == ([], ())


def test_it_leaves_its_files_and_the_same_bytes_again(run, tmp_path):
    _, folder = run
    clv.run_study(folder / "small.toml", output=tmp_path)
    for name in ("results.json", "curves.csv", "survivors.csv", "values.csv"):
        assert (tmp_path / "small" / name).read_bytes() == (folder / "small" / name).read_bytes()
    saved = sorted(path.name for path in (folder / "small" / "draws").glob("*.nc"))
    assert saved == ["A.geometric.nc", "A.sbg.nc", "B.geometric.nc", "B.sbg.nc"]
    assert clv.load_fit(folder / "small" / "draws" / "A.sbg.nc").n_draws == 400
    manifest = json.loads((folder / "small" / "manifest.json").read_text())
    assert manifest["seed"] == 3
    page = clv.render_report(folder / "small")
    assert "Small" in page.read_text(encoding="utf-8")
    assert read_results(folder / "small").study.name == "small"


def test_contracts_in_a_file_make_the_same_study_as_their_survivors(tmp_path):
    rows = []
    for name, counts in SURVIVORS.items():
        for age, (before, after) in enumerate(itertools.pairwise(counts), start=1):
            end = (pd.Timestamp("2024-01-01") + pd.DateOffset(months=age)).date().isoformat()
            rows += [(f"{name}{age}-{i}", "2024-01-01", end, name) for i in range(before - after)]
        rows += [(f"{name}-{i}", "2024-01-01", None, name) for i in range(counts[-1])]
    frame = pd.DataFrame(rows, columns=["customer_id", "start", "end", "plan"])
    frame.to_csv(tmp_path / "contracts.csv", index=False)
    file = write(
        tmp_path,
        contracts=f'[contracts]\nunit = "month"\ncurrency = "EUR"\nsource = "{tmp_path / "contracts.csv"}"\n'
        'segment = "plan"\nobservation_end = 2024-06-01',
    )
    of_file = clv.run_study(file, output=tmp_path)
    of_survivors = clv.run_study(write(tmp_path), output=tmp_path / "other")
    for one, other in zip(of_file.segments, of_survivors.segments, strict=True):
        assert [point.survival for point in one.observed] == [point.survival for point in other.observed]
    assert [row.equity for row in of_file.worth][:1] != []
    for one, other in zip(of_file.back_tests, of_survivors.back_tests, strict=True):
        assert [point.actual for point in one.points] == [point.actual for point in other.points]
        assert [p.expected for p in one.points] == pytest.approx([p.expected for p in other.points], rel=0.02)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"models": '[models]\nmain = "bg_nbd"'}, r'\[models\] main has "bg_nbd": expected one of "geometric"'),
        ({"models": '[models]\nmain = "sbg"\nrivals = ["sbg"]'}, "a model is named twice"),
        ({"contracts": '[contracts]\nunit = "month"\ncurrency = "EUR"'}, "give either survivors or source"),
        ({"value": "[value]\nprize = 10.0\nannual_discount_rate = 0.1"}, 'unknown key "prize"; did you mean "price"'),
        ({"value": "[value]\nprice = 10.0\nannual_discount_rate = 0"}, "annual_discount_rate = 0"),
        ({"head": 'kind = "churn"\nname = "x"\nseed = 1\n[title]\nen = "x"'}, "kind = 'churn': expected \"retention\""),
        ({"check": "[check]\nlearn_to = [3, 3]"}, "names an age twice"),
    ],
)
def test_what_is_not_known_is_refused_with_its_place(changed, said, tmp_path):
    with pytest.raises(clv.StudyError, match=said):
        read_study(write(tmp_path, **changed))


def test_survivors_that_rise_are_refused_before_anything_is_written(tmp_path):
    rising = '[contracts]\nunit = "month"\ncurrency = "EUR"\nsurvivors = { A = [100, 80, 90] }'
    with pytest.raises(clv.DataError, match="segment A, age 2: 90 survivors after 80"):
        clv.run_study(write(tmp_path, contracts=rising), output=tmp_path)
    assert not (tmp_path / "small").exists()


def test_the_donors_are_those_of_the_paper():
    donors, digest = clv.donor_summary()
    assert len(donors) == 11_104
    assert donors.frequency.sum() == 24_615
    assert len(digest) == 64


def test_the_study_that_ships_is_read(tmp_path):
    shutil.copy(ROOT / "studies" / "retention.toml", tmp_path)
    study = read_study(tmp_path / "retention.toml").study
    assert isinstance(study, RetentionStudy)
    assert study.contracts.source == "dataset:fader_hardie_2007"
