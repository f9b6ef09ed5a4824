"""Forecasts of who stays: conditional on being still there, additive, and with bands that cover what happens."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from scipy import special

import clvmodels as clv
from tests.forecast_cases import posterior, replayed
from tests.staying_cases import AT_RENEWALS, PARAMETERS, SURVIVORS, clock_of, fader_hardie, known, table_of

MODELS = tuple(PARAMETERS)
CONTINUOUS = tuple(name for name in MODELS if name not in AT_RENEWALS)
D = 0.1


def some(model, ages=(0, 1, 4), **columns):
    return table_of(ages, clock=clock_of(model), **columns)


def sbg_active(age, t, alpha=0.764, beta=1.296):
    """S(age + t) / S(age), by scipy's log beta."""
    return np.exp(special.betaln(alpha, beta + age + t) - special.betaln(alpha, beta + age))


def of_rows(table, column, values):
    return dataclasses.replace(table, **{column: np.asarray(values, dtype=float)})


# -- quantities ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_customer_still_there_is_still_there_at_horizon_0(model):
    forecast = clv.predict(posterior(known(model), 50), some(model), quantity="p_active", horizon=0)
    assert (forecast.mean == 1).all()
    assert (forecast.q05 == 1).all()


@pytest.mark.parametrize("model", MODELS)
def test_p_active_is_the_survival_later_over_the_survival_now(model):
    fit, table = known(model), some(model)
    later = clv.predict(fit, table, quantity="survival", age=table.age + 3).mean
    now = clv.predict(fit, table, quantity="survival").mean
    np.testing.assert_allclose(clv.predict(fit, table, quantity="p_active", horizon=3).mean, later / now, rtol=1e-12)


def test_retention_rate_is_that_of_fader_and_hardie_at_the_rows_own_age_or_the_one_given():
    fit, table = known("sbg"), some("sbg", ages=(1, 4))
    rate = lambda t: (1.296 + t - 1) / (0.764 + 1.296 + t - 1)  # noqa: E731
    np.testing.assert_allclose(clv.predict(fit, table, quantity="retention_rate").mean, [rate(1), rate(4)], rtol=1e-12)
    np.testing.assert_allclose(clv.predict(fit, table, quantity="retention_rate", age=7).mean, rate(7), rtol=1e-12)


def test_derl_is_the_discounted_sum_of_the_chances_to_be_there():
    t, table = np.arange(1.0, 400), some("sbg")
    for due in (0.0, 0.3, 1.0):
        expected = [np.sum(sbg_active(age, t) * np.exp(-D * (t - 1 + due))) for age in table.age]
        ours = clv.predict(known("sbg"), table, quantity="derl", discount_per_unit=D, due=due).mean
        np.testing.assert_allclose(ours, expected, rtol=1e-10)


def test_derl_takes_the_tables_own_time_to_the_next_renewal():
    table = some("sbg", due=np.array([0.2, 0.5, 1.0]))
    own = clv.predict(known("sbg"), table, quantity="derl", discount_per_unit=D).mean
    given = clv.predict(known("sbg"), table, quantity="derl", discount_per_unit=D, due=[0.2, 0.5, 1.0]).mean
    at_1 = clv.predict(known("sbg"), table, quantity="derl", discount_per_unit=D, due=1.0).mean
    assert (own == given).all()
    np.testing.assert_allclose(own, at_1 * np.exp(D * np.array([0.8, 0.5, 0.0])), rtol=1e-14)


def test_an_annual_rate_is_the_continuous_one_of_its_logarithm():
    by_year = clv.predict(known("sbg"), some("sbg"), quantity="derl", annual_discount_rate=0.1).mean
    by_unit = clv.predict(known("sbg"), some("sbg"), quantity="derl", discount_per_unit=np.log(1.1)).mean
    np.testing.assert_allclose(by_year, by_unit, rtol=1e-14)


def test_the_undiscounted_lifetime_is_beta_plus_age_over_alpha_less_1():
    fit = known("sbg", alpha=2.5)
    ours = clv.predict(fit, some("sbg"), quantity="residual_lifetime")
    np.testing.assert_allclose(ours.mean, (1.296 + np.array([0, 1, 4])) / 1.5, rtol=1e-12)
    assert (ours.p_infinite == 0).all()


def test_a_share_of_infinite_lifetimes_makes_the_mean_infinite_and_leaves_the_quantiles():
    alphas = np.array([[0.9] * 3 + [2.0] * 5 + [3.0] * 12])
    fit = known("sbg")
    draws = fit.draws.isel(draw=[0] * 20).assign(alpha=(("chain", "draw"), alphas), draw=np.arange(20))
    with pytest.warns(UserWarning, match="infinite in some draws for 3 of 3"):
        ours = clv.predict(dataclasses.replace(fit, draws=draws), some("sbg"), quantity="residual_lifetime")
    assert np.isinf(ours.mean).all()
    np.testing.assert_allclose(ours.p_infinite, 0.15)
    np.testing.assert_allclose(ours.q50, (1.296 + np.array([0, 1, 4])) / 2, rtol=1e-12)
    assert np.isinf(ours.q95).all()
    assert np.isinf(ours.total_draws[:3]).all()
    assert np.isfinite(ours.total_draws[3:]).all()
    assert list(ours.to_pandas())[-1] == "p_infinite"


def test_the_lost_are_left_out():
    table = some("sbg", ages=(2, 3, 4), lost=[False, True, False])
    forecast = clv.predict(known("sbg"), table, quantity="p_active", horizon=1)
    assert forecast.customer_id.tolist() == ["c0", "c2"]
    for ages in ([1.0, 99.0, 5.0], [1.0, 5.0]):  # one for each row of the table, or for each that is there
        ours = clv.predict(known("sbg"), table, quantity="survival", age=np.array(ages)).mean
        np.testing.assert_allclose(ours, sbg_active(0, np.array([1.0, 5.0])), rtol=1e-12)


# -- curves -------------------------------------------------------------------------------------------------------


def test_a_curve_is_one_for_each_group_and_its_rates_multiply_to_survival():
    fit = clv.fit("sbg", fader_hardie(7), covariates=[], seed=1, draws=200)
    curve = clv.retention_curve(fit, ages=range(13), table=fader_hardie(), by="segment")
    assert curve.labels == ("High End", "Regular")
    assert curve.survival.shape == (2, 200, 13)
    np.testing.assert_allclose(np.cumprod(curve.retention_rate[..., 1:], axis=-1), curve.survival[..., 1:], rtol=1e-12)
    alone = clv.retention_curve(fit, ages=range(13))
    np.testing.assert_allclose(curve.survival[0], alone.survival[0], rtol=1e-14)
    frame = curve.to_pandas()
    assert list(frame) == ["segment", "quantity", "age", "mean", "sd", "q05", "q50", "q95"]
    assert len(frame) == 2 * 2 * 13


def test_the_curve_of_a_group_is_the_mean_over_its_customers():
    table = dataclasses.replace(
        fader_hardie(), covariates={"high": (fader_hardie().groups["segment"] == "High End") * 1.0}
    )
    fit = clv.fit("sbg", table, covariates=["high"], seed=1, draws=100)
    by_segment = clv.retention_curve(fit, ages=[1, 5], table=table, by="segment")
    together = clv.retention_curve(fit, ages=[1, 5], table=table)
    np.testing.assert_allclose(together.survival[0], by_segment.survival.mean(axis=0), rtol=1e-12)  # 1,000 of each


# -- numbers retained ---------------------------------------------------------------------------------------------


def test_numbers_retained_have_the_expected_mean_and_never_rise():
    table = some("sbg", ages=(0, 3, 5), customers=[2000, 1, 40])
    retained = clv.sample_retained(known("sbg"), table, periods=5, seed=1, draws=4000)
    paths = retained.replay(np.arange(3))
    assert (np.diff(paths, axis=-1) <= 0).all()
    assert (paths.sum(axis=0) == retained.totals).all()
    chance = np.array([sbg_active(age, np.arange(1.0, 6)) for age in table.age])
    size = table.n_customers[:, None]
    error = np.sqrt(size * chance * (1 - chance) / 4000)
    assert (np.abs(paths.mean(axis=1) - size * chance) < 4 * error).all()
    np.testing.assert_allclose(retained.expected[0, 0], (size * chance).sum(axis=0), rtol=1e-12)


def test_successive_periods_are_one_path_in_which_each_survivor_stays_with_the_conditional_chance():
    retained = clv.sample_retained(known("sbg"), some("sbg", ages=(2,), customers=[500]), periods=2, seed=1, draws=4000)
    first, second = retained.totals.T
    rate = sbg_active(3, 1.0)
    standard = (second - first * rate) / np.sqrt(first * rate * (1 - rate))
    assert abs(standard.mean()) < 4 / np.sqrt(4000)
    assert abs(standard.var() - 1) < 4 * np.sqrt(2 / 4000)
    assert abs(np.corrcoef(standard, first)[0, 1]) < 4 / np.sqrt(4000)


def test_a_longer_horizon_only_adds_periods():
    fit, table = posterior(known("sbg"), 100), some("sbg", customers=[100, 1, 30])
    short, long = (clv.sample_retained(fit, table, periods=periods, seed=3).totals for periods in (2, 6))
    assert (long[:, :2] == short).all()


@pytest.mark.parametrize("model", MODELS)
def test_neither_the_order_of_rows_nor_the_others_change_a_rows_draws(model):
    fit = posterior(known(model), 60)
    table = some(model, ages=(3, 1, 0, 1), price=np.array([1.0, 2.0, 3.0, 2.0]))
    turned, part = table.take(np.array([3, 0, 2, 1])), table.take(np.array([1, 2]))
    rows = clv.sample_retained(fit, table, periods=3, seed=1).replay(np.arange(4))
    assert (clv.sample_retained(fit, turned, periods=3, seed=1).replay(np.arange(4)) == rows[[3, 0, 2, 1]]).all()
    assert (clv.sample_retained(fit, part, periods=3, seed=1).replay(np.arange(2)) == rows[[1, 2]]).all()
    for exact, forecast in (
        (True, lambda some: clv.sample_retention_value(fit, some, discount_per_unit=D, seed=1)),
        (True, lambda some: clv.predict(fit, some, quantity="p_active", horizon=2)),
        (False, lambda some: clv.retention_value(fit, some, discount_per_unit=D).values),
    ):
        whole, again, few = (forecast(some) for some in (table, turned, part))
        values = replayed(whole, "customers")
        assert (replayed(again, "draws") == values[[3, 0, 2, 1]]).all()
        assert (again.total_draws == whole.total_draws).all()
        tolerance = 0 if exact else 1e-14  # sums of many terms are added in blocks, by how many rows there are
        np.testing.assert_allclose(replayed(few, "customers"), values[[1, 2]], rtol=tolerance)
        np.testing.assert_allclose(few.q95, whole.q95[[1, 2]], rtol=tolerance)


def test_two_contracts_of_one_customer_have_chances_of_their_own():
    table = some("sbg", ages=(1, 1), ids=["a", "a"])
    one, other = clv.sample_retained(known("sbg"), table, periods=1, seed=1, draws=2000).replay(np.arange(2))[..., 0]
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(2000)


@pytest.mark.parametrize("model", ["sbg", "exponential_gamma"])
def test_bands_cover_futures_told_by_the_story_in_90_of_100_cases(model):
    rng, fits, size, age, periods = np.random.default_rng(5), posterior(known(model), 400), 400, 2, 4
    table = some(model, ages=(age,), customers=[size])
    band = clv.sample_retained(fits, table, periods=periods, seed=1).to_pandas()
    covered = []
    for draw in range(400):  # the truth is one of the draws, and its customers leave as the story tells
        truth = {name: float(fits.draws[name].values[0, draw]) for name in fits.model.parameter_names}
        lives = np.empty(0)
        while len(lives) < size:
            told = fits.model.simulate(rng, truth, 4 * size)
            lives = np.append(lives, told[told > age])
        there = (lives[:size, None] > age + np.arange(1, periods + 1)).sum(axis=0)
        covered.append((there >= band["q05"].to_numpy()) & (there <= band["q95"].to_numpy()))
    share = np.mean(covered, axis=0)
    assert (share > 0.9 - 4 * np.sqrt(0.09 / 400)).all()
    assert (share < 0.92 + 4 * np.sqrt(0.09 / 400)).all()  # whole numbers: both ends of the band belong to it


@pytest.mark.parametrize("model", ["sbg", "bdw"])
def test_bands_of_regular_customers_from_7_renewals_hold_the_12_observed(model):
    table = fader_hardie(7).where(segment="Regular")
    fit = clv.fit(model, table, seed=1)
    ahead = clv.sample_retained(fit, table, periods=5, seed=1).to_pandas()
    whole = clv.sample_retained(fit, table.newcomers, periods=12, seed=1).to_pandas()
    for band, seen in ((ahead, SURVIVORS["Regular"][8:]), (whole, SURVIVORS["Regular"][1:])):
        assert (band["q05"].to_numpy() <= seen).all()
        assert (band["q95"].to_numpy() >= seen).all()


def test_groups_add_up_and_churn_is_what_is_not_retained():
    fit, table = posterior(known("sbg"), 100), fader_hardie(7)
    retained = clv.sample_retained(fit, table, periods=3, seed=1, by="segment")
    alone = clv.sample_retained(fit, table.where(segment="Regular"), periods=3, seed=1)
    assert retained.customers.tolist() == [491, 241]
    assert (retained.draws[1] == alone.draws[0]).all()
    assert (retained.totals == retained.draws.sum(axis=0)).all()
    churn, numbers = (frame.set_index(["segment", "period"]) for frame in (retained.churn(), retained.to_pandas()))
    np.testing.assert_allclose(churn["mean"], 1 - numbers["mean"] / numbers["customers"], rtol=1e-12)
    lost = 1 - clv.predict(fit, table.where(segment="Regular"), quantity="p_active", horizon=1).mean[0]
    assert churn.loc[("Regular", 1), "expected"] == pytest.approx(lost, rel=1e-12)
    inside = (churn["expected_q05"] > churn["q05"]) & (churn["expected_q95"] < churn["q95"])
    assert inside.all()  # chance makes what will be seen wider than what is expected


def test_a_frame_of_rows_has_each_row_and_period():
    table = some("sbg", ages=(1, 2), customers=[10, 3])
    retained = clv.sample_retained(known("sbg"), table, periods=2, seed=1)
    frame = retained.rows_to_pandas()
    assert frame[["customer_id", "period"]].to_numpy().tolist() == [["c0", 1], ["c0", 2], ["c1", 1], ["c1", 2]]
    np.testing.assert_allclose(frame["mean"], retained.replay(np.arange(2)).mean(axis=1).ravel())


# -- values -------------------------------------------------------------------------------------------------------


def test_residual_values_at_the_end_of_contracts_1_2_and_5_are_the_published_ones():
    value = clv.retention_value(known("sbg"), some("sbg"), price=100, annual_discount_rate=0.1, due=0)
    assert np.rint(value.values.mean).tolist() == [288, 394, 568]  # Fader and Hardie (2010)


def test_geometric_values_are_the_closed_forms():
    theta, due = 0.3, 0.4
    fit, table = known("geometric"), some("geometric", customers=[1, 5, 10])
    factor = (1 - theta) * np.exp(-D * due) / (1 - (1 - theta) * np.exp(-D))
    value = clv.retention_value(fit, table, price=10, margin=0.5, discount_per_unit=D, due=due)
    np.testing.assert_allclose(value.values.mean, 5 * factor, rtol=1e-12)
    np.testing.assert_allclose(value.equity, 16 * 5 * factor, rtol=1e-12)
    new = clv.new_retention_value(fit, price=10, margin=0.5, discount_per_unit=D)
    np.testing.assert_allclose(new.value, 5 / (1 - (1 - theta) * np.exp(-D)), rtol=1e-12)
    np.testing.assert_allclose(
        clv.predict(fit, table, quantity="residual_lifetime").mean, (1 - theta) / theta, rtol=1e-12
    )


def test_exponential_lives_are_worth_their_closed_form():
    fit = clv.fit_at("exponential_gamma", {"r": 2.0, "alpha": 4.0}, unit="year")
    table = table_of([0, 2.5], clock="continuous")
    lifetime = clv.predict(fit, table, quantity="residual_lifetime").mean
    np.testing.assert_allclose(lifetime, [4.0, 6.5], rtol=1e-10)  # (alpha + T) / (r - 1)
    for age, value in zip(
        table.age, clv.retention_value(fit, table, price=3, discount_per_unit=D).values.mean, strict=True
    ):
        a = 4.0 + age
        exact = a * np.exp(D * a) * special.expn(2, D * a)  # int (a / (a + t))^2 exp(-d t) dt
        assert value == pytest.approx(3 * exact, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_values_of_two_horizons_add_up(model):
    fit, table = posterior(known(model), 20), some(model)
    near, all_of_it = (
        replayed(clv.retention_value(fit, table, price=1, discount_per_unit=D, horizon=h).values, "customers")
        for h in (3, np.inf)
    )
    later = of_rows(table, "age", table.age + 3)
    beyond = replayed(clv.retention_value(fit, later, price=1, discount_per_unit=D).values, "customers")
    there = replayed(clv.predict(fit, table, quantity="p_active", horizon=3), "customers")
    np.testing.assert_allclose(near + there * np.exp(-3 * D) * beyond, all_of_it, rtol=1e-8)


@pytest.mark.parametrize("model", MODELS)
def test_a_horizon_far_away_is_as_good_as_none(model):
    fit, table = known(model), some(model)
    far, none = (
        clv.retention_value(fit, table, price=1, discount_per_unit=D, horizon=h).values.mean for h in (400, np.inf)
    )
    np.testing.assert_allclose(far, none, rtol=1e-8)


def test_a_finite_horizon_needs_no_discount():
    value = clv.retention_value(known("sbg"), some("sbg"), price=1, discount_per_unit=0, horizon=2).values.mean
    expected = [sbg_active(age, np.array([1.0, 2.0])).sum() for age in (0, 1, 4)]
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_a_model_in_continuous_time_is_paid_at_renewals_on_a_table_of_renewals():
    t = np.arange(1.0, 400)
    value = clv.retention_value(known("exponential_gamma"), some("sbg"), price=1, discount_per_unit=D, due=0)
    expected = [np.sum(((3 + age) / (3 + age + t)) ** 1.4 * np.exp(-D * (t - 1))) for age in (0, 1, 4)]
    np.testing.assert_allclose(value.values.mean, expected, rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_a_new_customer_is_worth_the_first_payment_and_what_is_left_at_age_0(model):
    fit = posterior(known(model), 50)
    new = clv.new_retention_value(fit, price=7, discount_per_unit=D, horizon=5, table=some(model))
    residual = clv.retention_value(fit, some(model, ages=(0,)), price=7, discount_per_unit=D, horizon=5)
    np.testing.assert_allclose(new.later, residual.equity, rtol=1e-12)
    assert (new.first == (7 if model in AT_RENEWALS else 0)).all()
    assert new.to_pandas()["part"].tolist() == ["first", "later", "value"]


def test_totals_are_the_sums_of_rows_draw_by_draw():
    fit, counts = posterior(known("sbg"), 100, chains=2), np.array([3.0, 1.0, 20.0, 2.0])
    table = some("sbg", ages=(1, 1, 4, 2), customers=counts, price=np.array([5.0, 9.0, 1.0, 0.0]),
                 groups={"segment": np.array(["b", "a", "a", "b"], dtype=object)})  # fmt: skip
    value = clv.retention_value(fit, table, annual_discount_rate=0.1, by="segment")
    rows = replayed(value.values, "draws")
    np.testing.assert_allclose(value.values.total_draws, counts @ rows, rtol=1e-12)
    np.testing.assert_allclose(value.equity, [counts[[1, 2]] @ rows[[1, 2]], counts[[0, 3]] @ rows[[0, 3]]], rtol=1e-12)
    frame = value.equity_to_pandas().set_index("segment")
    assert frame.index.tolist() == ["all", "a", "b"]
    assert frame["customers"].tolist() == [26, 21, 5]
    assert frame.loc["all", "mean"] == pytest.approx(frame.loc[["a", "b"], "mean"].sum(), rel=1e-12)
    assert (rows[3] == 0).all()
    assert value.values.totals.shape == (2, 50)


def test_a_free_customer_is_worth_nothing_however_long_the_lifetime():
    table = some("sbg", ages=(1, 1), price=np.array([0.0, 1.0]))
    value = clv.retention_value(known("sbg"), table, discount_per_unit=0)  # alpha < 1: lifetimes are infinite
    assert value.values.mean.tolist() == [0, np.inf]
    assert value.equity.tolist() == [[np.inf]]


def test_counted_rows_are_worth_what_single_rows_are():
    fit = posterior(known("bdw"), 50)
    counted = clv.retention_value(fit, some("bdw", ages=(1, 3), customers=[3, 2]), price=2, discount_per_unit=D)
    single = clv.retention_value(fit, some("bdw", ages=(1, 1, 3, 1, 3)), price=2, discount_per_unit=D)
    np.testing.assert_allclose(counted.equity, single.equity, rtol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_drawn_values_average_to_the_expected_ones(model):
    fit, table = known(model), some(model, price=np.array([1.0, 2.0, 3.0]))
    drawn = clv.sample_retention_value(fit, table, discount_per_unit=D, seed=2, draws=4000)
    expected = clv.retention_value(fit, table, discount_per_unit=D)
    assert (np.abs(drawn.mean - expected.values.mean) < 4 * drawn.sd / np.sqrt(4000)).all()
    total = drawn.total_draws
    assert abs(total.mean() - expected.equity.mean()) < 4 * total.std() / np.sqrt(4000)
    assert (drawn.sd > 0).all()


def test_drawn_values_of_counted_rows_are_the_payments_of_those_retained():
    fit, table = posterior(known("sbg"), 300), some("sbg", customers=[200, 1, 30])
    retained = clv.sample_retained(fit, table, periods=6, seed=4)
    drawn = clv.sample_retention_value(fit, table, price=5, discount_per_unit=D, horizon=6, due=0.5, seed=4)
    payments = 5 * np.exp(-D * (np.arange(6) + 0.5))
    np.testing.assert_allclose(drawn.total_draws, retained.totals @ payments, rtol=1e-12)
    one = replayed(drawn, "customers")
    possible = np.append(0.0, np.cumsum(payments))  # one customer of a row makes 0, 1, ..., 6 payments
    assert np.abs(one[..., None] - possible).min(axis=-1).max() < 1e-12
    np.testing.assert_allclose(one[1], retained.replay(np.array([1]))[0] @ payments, rtol=1e-12)


# -- what if ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_no_fewer_defections_change_nothing_and_more_fewer_more(model):
    fit, table = posterior(known(model), 30), some(model)
    changes = [
        clv.retention_what_if(fit, table, fewer_defections=f, price=1, discount_per_unit=D).change
        for f in (0.0, 0.05, 0.2, 1.0)
    ]
    assert (changes[0] == 0).all()
    assert (np.diff(np.stack(changes), axis=0) > 0).all()
    value = clv.retention_value(fit, table, price=1, discount_per_unit=D)
    whole = clv.retention_what_if(fit, table, fewer_defections=1.0, price=1, discount_per_unit=D)
    np.testing.assert_allclose(whole.equity, value.equity, rtol=1e-8)
    for_ever = 1 / np.expm1(D) if model in AT_RENEWALS else 1 / D
    np.testing.assert_allclose(whole.changed, 3 * for_ever, rtol=1e-8)


@pytest.mark.parametrize("model", AT_RENEWALS)
def test_a_thousand_renewals_ahead_are_added_up_as_the_model_has_them(model):
    """Retention rates are interpolated from the age of 128 on: the sum must still be the model's own."""
    fit, table = posterior(known(model), 20), some(model, ages=(0, 3, 150))
    added = clv.retention_what_if(fit, table, price=1, discount_per_unit=0.008).equity
    np.testing.assert_allclose(
        added, clv.retention_value(fit, table, price=1, discount_per_unit=0.008).equity, rtol=2e-8
    )


def test_fewer_defections_multiply_each_periods_chance_to_leave():
    t = np.arange(1.0, 300)
    leaving = 1 - sbg_active(2 + t - 1, 1.0)
    expected = np.sum(np.cumprod(1 - 0.95 * leaving) * np.exp(-D * (t - 1 + 0.25)))
    ours = clv.retention_what_if(known("sbg"), some("sbg", ages=(2,)), price=1, discount_per_unit=D, due=0.25)
    np.testing.assert_allclose(ours.changed, expected, rtol=1e-9)
    alike = clv.retention_what_if(known("geometric"), some("geometric"), price=1, discount_per_unit=D)
    other = clv.retention_value(known("geometric", theta=0.95 * 0.3), some("geometric"), price=1, discount_per_unit=D)
    np.testing.assert_allclose(alike.changed, other.equity, rtol=1e-9)


def test_fewer_defections_multiply_the_rate_of_leaving_in_continuous_time():
    table = some("exponential_gamma")
    ours = clv.retention_what_if(known("exponential_gamma"), table, price=1, discount_per_unit=D)
    other = clv.retention_value(known("exponential_gamma", r=0.95 * 1.4), table, price=1, discount_per_unit=D)
    np.testing.assert_allclose(ours.changed, other.equity, rtol=1e-8)


def test_equity_grows_less_if_each_customers_own_chance_falls():
    """As the docstring says: then those likely to leave stay longer, and the mix of those there is a worse one."""
    t, theta = np.arange(1.0, 200), np.random.default_rng(1).beta(0.764, 1.296 + 2, 20_000)[:, None]
    own = np.sum((1 - 0.95 * theta) ** t * np.exp(-D * t), axis=1) - np.sum((1 - theta) ** t * np.exp(-D * t), axis=1)
    ours = clv.retention_what_if(known("sbg"), some("sbg", ages=(2,)), price=1, discount_per_unit=D)
    assert own.mean() + 4 * own.std() / np.sqrt(len(own)) < ours.change[0, 0]


def test_the_what_if_by_group_adds_up():
    fit, table = posterior(known("sbg"), 40), fader_hardie(7)
    ours = clv.retention_what_if(fit, table, price=1, annual_discount_rate=0.1, by="segment", horizon=10)
    alone = clv.retention_what_if(fit, table.where(segment="Regular"), price=1, annual_discount_rate=0.1, horizon=10)
    np.testing.assert_allclose(ours.change[1], alone.change[0], rtol=1e-12)
    frame = ours.to_pandas().set_index(["segment", "quantity"])
    assert frame.loc[("all", "change"), "mean"] == pytest.approx(ours.change.sum(axis=0).mean(), rel=1e-12)
    share = ours.change[1] / ours.equity[1]
    assert frame.loc[("Regular", "relative_change"), "mean"] == pytest.approx(share.mean(), rel=1e-12)


def with_start(fit):
    """The fit of a model whose formulas read when relations began, and do not care."""

    def reading(formula):
        return lambda parameters, age, start, *further: formula(parameters, age + 0 * start, *further)

    formulas = {name: reading(formula) for name, formula in fit.model.formulas.items()}
    model = dataclasses.replace(fit.model, history=("age", "start"), formulas=formulas)
    return dataclasses.replace(fit, model=model)


@pytest.mark.parametrize("model", ["sbg", "weibull_gamma"])
def test_formulas_that_read_the_beginning_get_it_after_the_age(model):
    start = np.array(["2001-01-01", "2003-01-01", "2001-01-01"], dtype="datetime64[D]")
    fit, table = posterior(known(model), 30), some(model, start=start, price=np.array([1.0, 2.0, 3.0]))
    answers = [
        (
            clv.predict(any_fit, table, quantity="p_active", horizon=2).q95,
            clv.predict(any_fit, table, quantity="derl", discount_per_unit=D).mean,
            clv.retention_curve(any_fit, ages=[0, 1, 5], table=table).survival,
            clv.sample_retained(any_fit, table, periods=3, seed=1).totals,
            clv.retention_value(any_fit, table, discount_per_unit=D, horizon=7).equity,
            clv.new_retention_value(any_fit, table=table, discount_per_unit=D).value,
            clv.retention_what_if(any_fit, table, discount_per_unit=D).changed,
            clv.sample_retention_value(any_fit, table, discount_per_unit=D, seed=1).total_draws,
        )
        for any_fit in (fit, with_start(fit))
    ]
    for plain, read in zip(*answers, strict=True):
        np.testing.assert_allclose(read, plain, rtol=1e-8)
    with pytest.raises(clv.FitError, match="say which customers"):
        clv.retention_curve(with_start(fit), ages=[1])


# -- limits -------------------------------------------------------------------------------------------------------


def test_a_million_draws_of_customers_alike_are_not_held_in_memory():
    size, rng = 100_000, np.random.default_rng(1)
    table = some(
        "sbg", ages=rng.integers(0, 12, size), price=rng.gamma(5.0, 20.0, size), due=rng.uniform(0.01, 1, size)
    )
    fit = posterior(known("sbg"), 1000)
    clv.predict(fit, some("sbg"), quantity="p_active", horizon=1)
    tracemalloc.start()
    forecast = clv.retention_value(fit, table, annual_discount_rate=0.1).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(forecast) == size
    assert peak < 100e6  # of 800 MB that all draws of all customers would take


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda fit, t: clv.predict(fit, t, quantity="p_alive"), "no quantity .* expected one of survival"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active"), "needs a horizon"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active", horizon=1.5), "whole numbers"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active", horizon=1, seed=1), "leave out seed"),
        (lambda fit, t: clv.predict(fit, t, quantity="survival", horizon=1), "leave out horizon"),
        (lambda fit, t: clv.predict(fit, t, quantity="survival", age=0.5), "whole numbers"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active", horizon=1, age=2), "leave out age"),
        (lambda fit, t: clv.predict(fit, t, quantity="retention_rate"), "ages begin at 1"),
        (lambda fit, t: clv.predict(fit, t, quantity="derl"), "give one of annual_discount_rate"),
        (lambda fit, t: clv.predict(fit, t, quantity="derl", discount_per_unit=-0.1), "below 0"),
        (lambda fit, t: clv.predict(fit, t, quantity="derl", discount_per_unit=0.1, due=2), "due = 2"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active", horizon=1, due=1), "leave out due"),
        (lambda fit, t: clv.predict(fit, t, quantity="p_active", horizon=1, discount_per_unit=D), "leave out the rate"),
        (lambda fit, t: clv.retention_curve(fit, ages=[2, 1]), "increasing order"),
        (lambda fit, t: clv.retention_curve(fit, ages=[-1]), "0 or above"),
        (lambda fit, t: clv.retention_curve(fit, ages=[0.5]), "whole numbers"),
        (lambda fit, t: clv.retention_curve(fit, ages=[1], by="segment"), "give table"),
        (lambda fit, t: clv.retention_curve(fit, ages=[1], by="segment", table=t), "no such column"),
        (lambda fit, t: clv.sample_retained(fit, t, periods=0, seed=1), "periods = 0"),
        (lambda fit, t: clv.sample_retained(fit, t, periods=2, seed=-1), "seed = -1"),
        (lambda fit, t: clv.sample_retained(fit, t, periods=2, seed=1, by="x"), "no such column"),
        (lambda fit, t: clv.retention_value(fit, t, discount_per_unit=D), "the table has no prices"),
        (lambda fit, t: clv.retention_value(fit, t, price=-1, discount_per_unit=D), "price = -1"),
        (lambda fit, t: clv.retention_value(fit, t, price=1, margin=-1, discount_per_unit=D), "margin = -1"),
        (lambda fit, t: clv.retention_value(fit, t, price=[1, 2], discount_per_unit=D), "shape"),
        (lambda fit, t: clv.retention_value(fit, t, price=1, discount_per_unit=D, horizon=1.5), "whole number"),
        (lambda fit, t: clv.retention_what_if(fit, t, price=1, discount_per_unit=0), "too many periods"),
        (lambda fit, t: clv.retention_what_if(fit, t, price=1, discount_per_unit=D, fewer_defections=5), "from 0 to 1"),
        (lambda fit, t: clv.sample_retention_value(fit, t, price=1, discount_per_unit=0, seed=1), "too many periods"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises((clv.DataError, clv.FitError), match=message):
        call(known("sbg"), some("sbg"))


def test_fits_of_other_kinds_and_tables_without_a_future_are_refused():
    table = some("sbg")
    with pytest.raises(clv.FitError, match='in units of a "month"'):
        clv.sample_retained(clv.fit_at("sbg", PARAMETERS["sbg"], unit="month"), table, periods=1, seed=1)
    bg_nbd = clv.fit_at("bg_nbd", {"r": 0.2, "alpha": 4.4, "a": 0.8, "b": 2.4}, unit="year")
    with pytest.raises(clv.FitError, match="a retention model is expected"):
        clv.retention_value(bg_nbd, table, price=1, discount_per_unit=D)
    with pytest.raises(clv.DataError, match="all customers of the table are lost"):
        clv.predict(known("sbg"), some("sbg", ages=(1, 2), lost=[True, True]), quantity="p_active", horizon=1)
    with pytest.raises(clv.DataError, match="counts renewals"):
        clv.sample_retained(known("sbg"), some("exponential_gamma"), periods=1, seed=1)
    continuous = some("exponential_gamma", customers=[1, 2, 1])
    with pytest.raises(clv.DataError, match="stands for 2 customers"):
        clv.sample_retention_value(known("exponential_gamma"), continuous, price=1, discount_per_unit=D, seed=1)
    with pytest.raises(clv.DataError, match="leave it out"):
        clv.retention_value(known("exponential_gamma"), continuous, price=1, discount_per_unit=D, due=0.5)


def test_a_fit_that_failed_its_checks_makes_no_forecast():
    from clvmodels.foundation.results import Check

    fit = known("sbg")
    assert fit.passed
    checks = (Check("pareto_k", 0.9, 0.7, passed=False),)
    with pytest.raises(clv.FitError, match="pareto_k"):
        clv.sample_retained(dataclasses.replace(fit, checks=checks), some("sbg"), periods=1, seed=1)
