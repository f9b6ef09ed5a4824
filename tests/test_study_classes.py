"""Classes as a study file states them: grades, shares, losses, and customers of other times of acquisition."""

import json

import numpy as np
import pandas as pd
import pytest

from clvmodels.foundation.errors import StudyError
from clvmodels.study import read_study
from clvmodels.study.labels import matrix_options, require_graded_columns
from tests.test_study import write_study
from tests.test_study_odd import purchases, run

STATED = """
[lifecycle]
long_kept_days = 100

[pyramid]
platinum = 0.02
gold = 0.1
iron = 0.3

[grades]
weights = { clv = 2, frequency = 1 }
outright = { current_value = 300 }
cuts = { A = 0.7, B = 0.4 }
"""


@pytest.fixture(scope="module")
def stated(tmp_path_factory):
    """A study of 400 customers of whom the models learn from those won from March on."""
    code, folder = run(
        tmp_path_factory.mktemp("stated"), purchases(400), margin=0.5, window="acquired_from = 2023-03-01", value=STATED
    )
    assert code == 0
    return json.loads((folder / "results.json").read_text()), pd.read_parquet(folder / "customers.parquet")


def test_shares_and_grades_are_those_of_the_study(stated):
    results, customers = stated
    section = results["classes"]
    expected = [row["expected_customers"] / len(customers) for row in section["tiers"]]
    assert expected == pytest.approx([0.02, 0.08, 0.2, 0.7], abs=1 / len(customers))
    assert section["graded_by"] == {"clv": 2.0, "frequency": 1.0}
    counts = {row["key"]: row["customers"] for row in section["grades"]}
    assert counts == customers["grade"].value_counts().to_dict()
    assert (customers.loc[customers["current_value"] > 300, "p_A"] == 1).all()
    assert np.allclose(customers[["p_A", "p_B", "p_C"]].sum(axis=1), 1)


def test_customers_who_were_won_before_the_models_learn_are_not_new_when_they_move(stated):
    results, customers = stated
    won = pd.Timestamp("2024-06-30") - pd.to_timedelta(np.rint(customers["T"] * 7), unit="D")
    later = (won > pd.Timestamp("2023-12-31")).sum()
    kinds = {row["key"]: row for row in results["classes"]["kinds"]}
    assert kinds["new"]["customers"] == later == kinds["new"]["expected"]["mean"]
    assert sum(row["customers"] for row in kinds.values()) == len(customers)


def test_value_of_the_base_by_window_is_contribution(stated):
    results, _ = stated
    gross = sum(period["first_amount"] + period["repeat_amount"] for period in results["history"])
    assert sum(period["value"] for period in results["base"]) == pytest.approx(0.5 * gross, rel=0.05)


def test_losses_of_a_study_fill_a_table_of_right_and_wrong(tmp_path):
    text = "current = { quantile = 0.8 }"
    stated = f"{text}\nloss = {{ high_high = {{ low_low = 5, high_low = 2 }}, low_low = {{ high_high = 0.5 }} }}"
    study = read_study(write_study(tmp_path / "loss.toml", **{text: stated})).study
    assert matrix_options(study)["loss"] == [[0, 1, 2, 5], [1, 0, 1, 1], [1, 1, 0, 1], [0.5, 1, 1, 0]]


@pytest.mark.parametrize("column", [["x", "y"], [1.0, np.nan]])
def test_grades_by_a_column_that_is_no_number_are_refused_before_any_fit(tmp_path, column):
    stated = '[customers]\nsource = "age.csv"\ncovariates = ["age"]\n\n[grades]\nweights = { age = 1 }\n\n[matrix]'
    file = read_study(write_study(tmp_path / "graded.toml", **{"[matrix]": stated}))
    with pytest.raises(StudyError, match=r'\[grades\]: the column "age" of \[customers\] is not a number'):
        require_graded_columns(file, pd.DataFrame({"age": column}, index=["00001", "00002"]))
    require_graded_columns(file, pd.DataFrame({"age": [30.0, 40.0]}, index=["00001", "00002"]))
