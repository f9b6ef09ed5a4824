"""Two runs that differ in their seeds alone differ within Monte Carlo error; a planted change is found."""

import itertools
import json
import math
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

import clvmodels as clv
from clvmodels.cli import main
from clvmodels.foundation import contest_results, decision_results, ranking_results, retention_results
from clvmodels.foundation import results as purchase_results
from clvmodels.foundation.errors import StudyError
from clvmodels.foundation.estimates import estimate
from clvmodels.foundation.results import Score
from clvmodels.report.found import BY_PLACE, EXACT_FIELDS, KEYS, PICTURES, found_in
from clvmodels.report.monte_carlo import FIVE, error_of_share, errors_of_five, threshold
from clvmodels.study import outputs
from tests.contest_report_fixture import fixture_contest
from tests.report_fixture import fixture_results, write_fixture_customers
from tests.retention_report_fixture import fixture_retention
from tests.test_study import write_study
from tests.test_study_retention import study_text

DRAWS = 400
CUSTOMERS = 300


def numbers_of(draws):
    """Five numbers of each row of draws, as a forecast gives them; shape (K,) each."""
    rows = [estimate(row) for row in draws]
    return {name: np.array([getattr(row, name) for row in rows], dtype=float) for name in FIVE}


# --- errors, against what repeated simulation shows ---

DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.normal(100, 10, shape),
    "log-normal": lambda rng, shape: rng.lognormal(2, 1, shape),
    "exponential": lambda rng, shape: rng.exponential(5, shape),
    "below 0": lambda rng, shape: -rng.gamma(2, 3, shape),
    "rarely anything": lambda rng, shape: rng.gamma(2, 20, shape) * (rng.random(shape) < 0.2),
    "counts": lambda rng, shape: rng.poisson(300, shape).astype(float),
}


@pytest.mark.parametrize("draw", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
def test_a_stated_error_is_the_scatter_over_repetitions_or_larger(draw):
    """Of a mean it is the scatter; of the others, whose density is not known, at least that and not many times it."""
    found = numbers_of(draw(np.random.default_rng(1), (1000, DRAWS)))
    errors = errors_of_five(found, DRAWS)
    for name in FIVE:
        scatter, stated = np.std(found[name]), np.median(errors[name])
        if scatter == 0:  # a quantile on the heap at 0
            assert np.isnan(errors[name]).all()
            continue
        low, high = (0.92, 1.08) if name == "mean" else (0.95, 4.5)
        assert low < stated / scatter < high, name


def test_the_error_of_a_share_is_that_of_a_binomial_and_never_0():
    shares = np.random.default_rng(2).binomial(DRAWS, 0.3, 4000) / DRAWS
    assert np.median(error_of_share(shares, DRAWS)) == pytest.approx(np.std(shares), rel=0.05)
    assert error_of_share(0.0, DRAWS) > 0


def test_runs_that_differ_by_chance_have_a_number_beyond_as_rarely_as_stated():
    """Of 200 comparisons of 300 customers' numbers, of all these distributions, with 250 draws."""
    rng, rate, draws, alarms = np.random.default_rng(3), 0.05, 250, 0
    kinds = [draw for name, draw in DISTRIBUTIONS.items() if name != "counts"]
    for _ in range(200):
        runs = []
        for _ in "ab":
            values = np.sort(np.concatenate([draw(rng, (60, draws)) for draw in kinds]), axis=1)
            places = [math.ceil(draws * level) - 1 for level in (0.05, 0.5, 0.95)]
            quantiles = zip(("q05", "q50", "q95"), values[:, places].T, strict=True)
            five = {"mean": values.mean(axis=1), "sd": values.std(axis=1, ddof=1), **dict(quantiles)}
            runs.append((five, errors_of_five(five, draws)))
        (a, of_a), (b, of_b) = runs
        errors = np.concatenate([np.hypot(of_a[name], of_b[name]) for name in FIVE])
        apart = np.abs(np.concatenate([a[name] - b[name] for name in FIVE]))
        known = errors > 0
        alarms += bool((apart[known] > threshold(int(known.sum()), rate) * errors[known]).any())
    assert alarms <= 200 * rate + 3 * math.sqrt(200 * rate * (1 - rate))


def test_the_threshold_grows_slowly_with_the_number_of_comparisons():
    assert threshold(1, 0.05) == pytest.approx(2.716, abs=0.001)
    assert threshold(100_000, 0.05) < 6


# --- real runs ---


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Folders of a small study of retention, run with six seeds."""
    home = tmp_path_factory.mktemp("seeds")
    folders = []
    for seed in range(1, 7):
        head = f'kind = "retention"\nname = "small"\nseed = {seed}\nlanguages = ["en"]\n[title]\nen = "Small"'
        (home / "small.toml").write_text(study_text(head=head))
        clv.run_study(home / "small.toml", output=home / str(seed))
        folders.append(home / str(seed) / "small")
    return folders


def means_apart(comparisons):
    """Differences of means in standard errors."""
    found = [number.errors for comparison in comparisons for number in comparison.numbers if number.error]
    names = [number.path for comparison in comparisons for number in comparison.numbers if number.error]
    return np.array([z for z, name in zip(found, names, strict=True) if name.endswith((".mean", ".expected"))])


def test_runs_of_a_study_with_other_seeds_differ_within_their_errors_and_as_far_as_these_say(seeds):
    """Fifteen comparisons of six runs: none beyond, and means as far apart as standard errors have them.

    The means of a run rest on five parameters, so together they tell that by some 25 independent numbers: to a seventh.
    """
    found = [clv.compare_runs(a, b) for a, b in itertools.combinations(seeds, 2)]
    assert [each.beyond for each in found] == [0] * 15
    assert min(each.judged for each in found) > 400
    apart = means_apart(found)
    assert 0.6 < np.sqrt(np.mean(apart**2)) < 1.4  # three standard errors
    assert {difference.name for difference in found[0].inputs} == {"seed", "study file"}


def test_one_run_is_the_same_as_itself(seeds, capsys):
    found = clv.compare_runs(seeds[0], seeds[0])
    assert {number.kind for number in found.numbers} == {"same"}
    assert main(["diff", str(seeds[0]), str(seeds[0])]) == 0
    out = capsys.readouterr().out
    assert "inputs: the same" in out
    assert out.endswith("the runs are the same\n")


@pytest.mark.slow
def test_runs_of_a_study_of_purchases_differ_within_their_errors_and_a_smaller_margin_is_found(tmp_path):
    folders = []
    changes = [{}, {"seed = 19970101": "seed = 2"}, {"seed = 19970101": "seed = 3"}, {"margin = 1.0": "margin = 0.999"}]
    for place, change in enumerate(changes):
        study = write_study(tmp_path / f"{place}.toml", **change)
        clv.run_study(study, output=tmp_path / str(place))
        folders.append(tmp_path / str(place) / "cdnow_sample")
    found = [clv.compare_runs(a, b) for a, b in itertools.combinations(folders[:3], 2)]
    assert [each.beyond for each in found] == [0] * 3
    assert min(each.judged for each in found) > 50_000
    assert 0.7 < np.sqrt(np.mean(means_apart(found) ** 2)) < 1.2
    smaller = clv.compare_runs(folders[0], folders[3])
    beyond = {number.path for number in smaller.numbers if number.kind == "beyond"}
    assert {"study.margin", "value.current_value_total"} <= beyond
    current = next(c for c in smaller.columns if (c.table, c.column) == ("customers", "current_value"))
    assert current.beyond > 500
    assert any("share random numbers" in remark for remark in smaller.remarks)


# --- planted changes ---


def write_results(folder, results):
    folder.mkdir(parents=True, exist_ok=True)
    outputs.write_results(results, folder / "results.json")
    return folder


@pytest.fixture
def two(tmp_path):
    """A run with a table of customers, and a way to write it again with changes."""
    rng = np.random.default_rng(5)
    clv_draws = rng.gamma(1.0, 50.0, (CUSTOMERS, DRAWS)) * (rng.random((CUSTOMERS, DRAWS)) < 0.6)
    table = pd.DataFrame(
        {"customer_id": [f"{place:03}" for place in range(CUSTOMERS)], "frequency": 2, "cell": "low_low"}
    )
    table = table.assign(**{f"clv_{name}": values for name, values in numbers_of(clv_draws).items()})
    results = fixture_results()

    def write(name, changed=results, rows=table):
        folder = write_results(tmp_path / name, changed)
        rows.to_parquet(folder / "customers.parquet", index=False)
        return folder

    return write("a"), write, results, table


def beyond(comparison):
    return {number.path for number in comparison.numbers if number.kind == "beyond"}


def column(comparison, name):
    (found,) = [each for each in comparison.columns if each.column == name]
    return found


def test_a_margin_one_thousandth_larger_is_found(two):
    a, write, results, _ = two
    study = replace(results.study, margin=results.study.margin * 1.001)
    found = clv.compare_runs(a, write("b", replace(results, study=study)))
    assert beyond(found) == {"study.margin"}
    assert found.beyond == 1


def test_a_mean_is_beyond_from_the_stated_number_of_its_errors_on(two):
    a, write, results, _ = two
    equity, draws = results.value.equity, results.models.fits[-1].parameters[0].ess_bulk
    limit = clv.compare_runs(a, a).limit
    for share, kind in ((0.9, "within"), (1.1, "beyond")):
        moved = equity.mean + share * limit * equity.sd / math.sqrt(draws) * math.sqrt(2)
        value = replace(results.value, equity=replace(equity, mean=moved))
        found = clv.compare_runs(a, write("b", replace(results, value=value)))
        assert {number.path: number.kind for number in found.numbers}["value.equity.mean"] == kind
        assert found.beyond == (kind == "beyond")


def test_one_customer_with_other_numbers_is_found_and_named(two):
    a, write, _, table = two
    changed = table.copy()
    changed.loc[17, "clv_mean"] += 60
    worst = column(clv.compare_runs(a, write("b", rows=changed)), "clv_mean")
    assert (worst.beyond, worst.worst, worst.same) == (1, "017", CUSTOMERS - 1)
    changed = table.copy()
    changed.loc[29, "frequency"] += 1
    found = clv.compare_runs(a, write("c", rows=changed))
    assert (column(found, "frequency").beyond, column(found, "frequency").worst, found.beyond) == (1, "029", 1)


def test_a_customer_whose_numbers_move_by_less_than_chance_is_within(two):
    a, write, _, table = two
    changed = table.assign(clv_mean=table["clv_mean"] + table["clv_sd"] / math.sqrt(DRAWS))
    found = column(clv.compare_runs(a, write("b", rows=changed)), "clv_mean")
    assert (found.within, found.beyond) == (CUSTOMERS, 0)


def test_customers_are_met_by_their_ids_and_those_of_one_run_alone_are_counted(two):
    a, write, _, table = two
    assert clv.compare_runs(a, write("b", rows=table.iloc[::-1])).beyond == 0
    ids = column(clv.compare_runs(a, write("c", rows=table.iloc[5:])), "customer_id")
    assert (ids.only_a, ids.only_b) == (5, 0)
    found = clv.compare_runs(a, write("d", rows=table.drop(columns="customer_id")))  # left out for privacy
    assert found.columns == ()


def test_other_labels_are_told_and_are_not_held_against_the_runs(two):
    a, write, _, table = two
    found = clv.compare_runs(a, write("b", rows=table.assign(cell=["high_low", *table["cell"][1:]])))
    assert (column(found, "cell").unknown, column(found, "cell").worst, found.beyond) == (1, "000", 0)


def test_a_row_more_in_a_list_moves_no_other(two):
    a, write, results, _ = two
    scores = [Score("new", "spend_gini", 0.5, 0.4, 0.6, 10), *results.comparison.scores]
    comparison = replace(results.comparison, scores=scores)
    found = clv.compare_runs(a, write("b", replace(results, comparison=comparison)))
    differing = {(number.path, number.kind) for number in found.numbers if number.kind != "same"}
    assert differing == {
        (f"comparison.scores[new, spend_gini].{name}", "only_b")
        for name in ("method", "score", "value", "low", "high", "n")
    }


def test_a_number_without_a_known_error_is_told_with_its_change(two):
    a, write, results, _ = two
    first, *rest = results.comparison.scores
    comparison = replace(results.comparison, scores=[replace(first, value=first.value * 0.9), *rest])
    found = clv.compare_runs(a, write("b", replace(results, comparison=comparison)))
    (number,) = [number for number in found.numbers if number.kind == "unknown"]
    assert (number.error, number.change) == (None, pytest.approx(-0.1))
    assert found.beyond == 0


def test_rounding_of_another_machine_is_no_difference(two):
    a, write, results, _ = two
    data = replace(results.data, revenue=results.data.revenue * (1 + 1e-12))
    assert {number.kind for number in clv.compare_runs(a, write("b", replace(results, data=data))).numbers} == {"same"}


# --- every record has its place ---


def rows_of_lists():
    """Types of the records that stand in lists of results."""
    found = set()
    for module in (purchase_results, decision_results, ranking_results, retention_results, contest_results):
        for kind in vars(module).values():
            if is_dataclass(kind):
                for hint in typing.get_type_hints(kind, vars(pd) | {"pd": pd}).values():
                    found |= inside(hint)
    return found


def inside(hint):
    """Dataclasses that stand in a list within a type."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) in (list, Sequence):
        return {part for part in parts if is_dataclass(part)} | {kind for part in parts for kind in inside(part)}
    return {kind for part in parts for kind in inside(part)}


def test_every_row_of_a_list_is_told_by_its_keys():
    assert rows_of_lists() - {*KEYS, *BY_PLACE, *PICTURES} == set()
    for kind, names in [*KEYS.items(), *EXACT_FIELDS.items()]:
        assert {name for name in names if name != "*"} <= {field.name for field in fields(kind)}, kind


@pytest.mark.parametrize(
    "results", [fixture_results(), fixture_retention(), fixture_contest()], ids=lambda r: r.study.name
)
def test_every_number_of_a_report_has_a_path_of_its_own(results, tmp_path):
    paths = [found.path for found in found_in(results)]
    assert len(set(paths)) == len(paths) > 500
    a = write_results(tmp_path / "a", results)
    found = clv.compare_runs(a, a)
    assert {number.kind for number in found.numbers} == {"same"}
    assert any("no manifest.json" in remark for remark in found.remarks)


# --- the command ---


def test_the_command_tells_inputs_first_and_writes_the_whole(seeds, tmp_path, capsys):
    a, b = str(seeds[0]), str(seeds[1])
    assert main(["diff", a, b, "--json", str(tmp_path / "diff.json")]) == 0
    out = capsys.readouterr().out
    assert out.index("seed: 1 -> 2") < out.index("results.json")
    assert "at most 5% have any" in out
    assert "(--all)" in out
    whole = json.loads((tmp_path / "diff.json").read_text())
    assert len(whole["numbers"]) == len(clv.compare_runs(a, b).numbers)
    main(["diff", a, b, "--all"])
    assert len(capsys.readouterr().out) > len(out)


def test_a_difference_beyond_chance_is_exit_1_and_stands_in_the_lines(two, capsys):
    a, write, results, table = two
    study = replace(results.study, margin=results.study.margin * 1.001)
    b = write("b", replace(results, study=study), table.iloc[1:])
    assert main(["diff", str(a), str(b)]) == 1
    out = capsys.readouterr().out
    assert "study.margin: 1 -> 1.001, +0.100%, exact" in out
    assert "1 only in A, 0 only in B" in out
    assert out.endswith("2 numbers differ by more than Monte Carlo error\n")


def test_a_frame_has_a_row_a_number(seeds):
    found = clv.compare_runs(*seeds[:2])
    frame = found.to_pandas()
    assert len(frame) == len(found.numbers)
    assert frame["kind"].value_counts().to_dict() == {
        kind: sum(counts.get(kind, 0) for counts in found.by_section.values()) for kind in set(frame["kind"])
    }


def test_runs_of_different_kinds_are_refused(two, seeds, capsys):
    assert main(["diff", str(two[0]), str(seeds[0])]) == 2
    assert "only runs of one kind" in capsys.readouterr().err


def test_results_that_this_version_does_not_know_are_refused(two, tmp_path):
    a, _, results, _ = two
    raw = msgspec.to_builtins(results)
    for place, name in (
        (raw["value"], "value.next_idea"),
        (raw, "next_idea"),
        (raw["history"][3], "history.next_idea"),
    ):
        place["next_idea"] = 1.0
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / "results.json").write_bytes(msgspec.json.encode(raw))
        with pytest.raises(StudyError, match=f"{name} is not known to this version"):
            clv.compare_runs(a, tmp_path / "b")
        del place["next_idea"]
    del raw["value"]
    (tmp_path / "b" / "results.json").write_bytes(msgspec.json.encode(raw))
    with pytest.raises(StudyError, match="not the results of this version"):
        clv.compare_runs(a, tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"])
def test_damaged_results_and_tables_are_bad_input(content, two, capsys):
    a, write, _, _ = two
    b = write("b")
    (b / "customers.parquet").write_bytes(content)
    assert main(["diff", str(a), str(b)]) == 2
    (b / "results.json").write_bytes(content)
    assert main(["diff", str(a), str(b)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_customer_in_two_rows_is_refused(two):
    a, write, _, table = two
    with pytest.raises(StudyError, match="customer_id 000 is in several rows"):
        clv.compare_runs(a, write("b", rows=pd.concat([table, table.head(1)])))


def test_a_table_whose_columns_hold_something_else_is_told_apart(two):
    a, write, _, table = two
    found = clv.compare_runs(a, write("b", rows=table.assign(clv_mean="much")))
    assert column(found, "clv_mean").unknown == CUSTOMERS
    write_fixture_customers(Path(a))
    assert column(clv.compare_runs(a, a), "last_purchase").beyond == 0


def test_a_rate_that_is_no_probability_is_refused(seeds):
    with pytest.raises(StudyError, match="rate = 5"):
        clv.compare_runs(*seeds[:2], rate=5)
