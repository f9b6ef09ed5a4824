"""Models side by side: which one these data trust, and what they say of each model's assumption.

Rules turn numbers into the keys of sentences; the sentences are in the catalogues.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import Duel, LeaveOneOut, RivalGap, RivalGroup, RivalRow, Score
from clvmodels.report.numbers import tidy
from clvmodels.report.sections.contest import score_value
from clvmodels.report.sections.rival_figures import rival_figures, rival_name, rival_names
from clvmodels.report.tables import Column, Table, columns
from clvmodels.report.voice import Source, Voice

SETTLED = 2.0  # standard errors beyond which a difference of elpd counts
LEAST = 4.0  # difference of elpd below which its standard error says little (Sivula and others, 2020)
NO_WEIGHT = 0.005
REGULAR = 1.25  # regularity beyond which timing is called regular
FACETS = ("leaving", "timing", "rates", "season", "spend")
LEVELS = (0.50, 0.80, 0.90, 0.95)

# Which model does without a model's own assumption, so that their difference is a test of it: the first that is in
# the study. Every other model lets customers leave, so the best of them is the test of the one that does not.
TESTED = {
    "bg_nbd": ("nbd",),
    "mbg_nbd": ("bg_nbd",),
    "pareto_nbd": ("bg_nbd",),
    "bg_bb": ("pareto_nbd", "bg_nbd"),
    "ggom_nbd": ("pareto_nbd",),
    "bg_cnbd_k": ("bg_nbd",),
    "mbg_cnbd_k": ("mbg_nbd",),
    "pareto_ggg": ("pareto_nbd",),
    "pareto_nbd_abe": ("pareto_nbd",),
    "pareto_nbd_dyncov": ("pareto_nbd",),
}
BY_THE_BEST = ("nbd",)
SCORES = {
    "purchases": ("purchases_crps", "purchases_log_score", "purchases_mae", "spend_gini", "purchases_bias"),
    "spend": ("spend_crps", "spend_mae", "spend_gini", "spend_bias"),
}
BETTER: dict[str, Callable[[float], float]] = {"bias": abs, "gini": lambda value: -value}  # the least is the best


def rivals(source: Source, voice: Voice) -> dict[str, Any] | None:
    """For purchases and for spend: the verdict, tables, figures and a card a model; None without rivals."""
    groups = source.results.rivals
    if not groups:
        return None
    data = source.results.data
    return {
        "intro": voice.say(
            "rivals.intro",
            calibration_end=voice.numbers.date(data.calibration_end),
            length=voice.length(data.holdout_length),
            customers=voice.count(data.calibration_customers),
            least=voice.numbers.significant(LEAST, 1),
        ),
        "groups": [_group(group, voice) for group in groups],
    }


def _group(group: RivalGroup, voice: Voice) -> dict[str, Any]:
    ordered = in_order(group)
    return {
        "heading": voice.text(f"rivals.heading_{group.family}"),
        "verdict": [_paragraph(said) for part in (_best, _stacking, _own, _totals) if (said := part(group, voice))],
        "left_out": [
            voice.say("rivals.left_out", model=rival_name(key, voice), message=message)
            for key, message in group.left_out.items()
        ],
        "loo": _loo_table(ordered, voice) if any(row.loo for row in ordered) else None,
        "holdout": _holdout_table(group, ordered, voice),
        "figures": rival_figures(ordered, voice) if group.family == "purchases" else [],
        "cards": [_card(group, row, voice) for row in ordered],
    }


def _paragraph(sentences: Sequence[Markup]) -> Markup:
    return Markup(tidy(Markup(" ").join(sentences)))


def in_order(group: RivalGroup) -> list[RivalRow]:
    """Models from the best elpd down, those of other data and those without one last."""
    first = group.rows[0].loo.basis if group.rows[0].loo else None

    def place(row: RivalRow) -> tuple[bool, bool, float]:
        if row.loo is None:
            return True, True, 0.0
        return False, row.loo.basis != first, -row.loo.difference

    return sorted(group.rows, key=place)


# What customers left out say


def outcome(difference: float, se: float) -> str:
    """Whether a difference is "better" or "worse" beyond doubt, or "even"."""
    if abs(difference) <= max(SETTLED * se, LEAST):
        return "even"
    return "better" if difference > 0 else "worse"


def _compared(group: RivalGroup) -> list[tuple[RivalRow, LeaveOneOut]]:
    """Models that compare with the study's own, the best first; none without an estimate of its own."""
    own = group.rows[0].loo
    found = [(row, row.loo) for row in group.rows if row.loo is not None and own is not None]
    return sorted(
        ((row, left) for row, left in found if own is not None and left.basis == own.basis),
        key=lambda pair: -pair[1].difference,
    )


def _best(group: RivalGroup, voice: Voice) -> list[Markup]:
    """The best model, those that cannot be told from it, and those that are settled as worse."""
    compared = _compared(group)
    if len(compared) < 2:
        return [voice.say("rivals.no_loo")]
    best = compared[0][0].model
    even = [row.model for row, left in compared[1:] if outcome(left.difference, left.difference_se) == "even"]
    worse = [row.model for row, left in compared[1:] if row.model not in even]
    key = "best_tied" if even else "best_alone"
    said = [voice.say(f"rivals.{key}", model=rival_name(best, voice), others=rival_names(even or worse, voice))]
    return said + ([voice.say("rivals.settled_worse", others=rival_names(worse, voice))] if even and worse else [])


def _stacking(group: RivalGroup, voice: Voice) -> list[Markup]:
    compared = sorted(_compared(group), key=lambda pair: -pair[1].weight)
    if len(compared) < 2:
        return []
    weighty = [(row, left) for row, left in compared if left.weight >= NO_WEIGHT]
    shares = [
        str(voice.say("rivals.weight", model=rival_name(row.model, voice), weight=voice.numbers.share(left.weight)))
        for row, left in weighty
    ]
    said = [
        voice.say("rivals.stacking", weights=voice.numbers.listed(shares), model=rival_name(weighty[0][0].model, voice))
    ]
    ranked = [row.model for row, _ in compared] == [row.model for row, _ in _compared(group)]
    return said + ([] if ranked and len(weighty) == len(compared) else [voice.say("rivals.stacking_note")])


def _own(group: RivalGroup, voice: Voice) -> list[Markup]:
    """What that means for the model that decisions rest on."""
    compared = _compared(group)
    if len(compared) < 2:
        return []
    (best, _), own = compared[0], group.rows[0]
    assert own.loo is not None
    if best.model == own.model:
        return [voice.say("rivals.own_best", own=rival_name(own.model, voice))]
    said = "behind" if outcome(own.loo.difference, own.loo.difference_se) == "worse" else "tied"
    return [
        voice.say(
            f"rivals.own_{said}",
            own=rival_name(own.model, voice),
            model=rival_name(best.model, voice),
            **_gap_in_words(own.loo.difference, own.loo.difference_se, voice),
        )
    ]


def _gap_in_words(difference: float, se: float, voice: Voice) -> dict[str, str]:
    return {"difference": voice.numbers.decimal(abs(difference), 1), "se": voice.numbers.decimal(se, 1)}


def _totals(group: RivalGroup, voice: Voice) -> list[Markup]:
    """How the forecasts of the total lie to what came, and whose interval held it."""
    known = [(row, row.total.mean) for row in group.rows if row.total.mean is not None]
    if not known:
        return []
    lowest, highest = min(known, key=lambda pair: pair[1]), max(known, key=lambda pair: pair[1])
    held = [row.model for row, _ in known if _holds(row, group.actual)]
    said = voice.say(
        f"rivals.totals_{group.family}",
        actual=_amount(group, group.actual, voice),
        low=_amount(group, lowest[1], voice),
        low_model=rival_name(lowest[0].model, voice),
        high=_amount(group, highest[1], voice),
        high_model=rival_name(highest[0].model, voice),
    )
    one_side = lowest[1] > group.actual or highest[1] < group.actual
    missed = "totals_missed_alike" if one_side else "totals_missed"
    key = "totals_held_by_all" if len(held) == len(known) else "totals_held" if held else missed
    return [said, voice.say(f"rivals.{key}", models=rival_names(held, voice), level=voice.level)]


def _holds(row: RivalRow, actual: float) -> bool:
    low, high = row.total.q05, row.total.q95
    return low is not None and high is not None and low <= actual <= high


def _amount(group: RivalGroup, value: float, voice: Voice) -> str:
    return voice.count(value) if group.family == "purchases" else voice.numbers.money(value)


# Tables


def _loo_table(rows: Sequence[RivalRow], voice: Voice) -> Table:
    """Log likelihood, elpd against the best, stacking weight; models settled as worse than the best set apart."""
    heads = ("model", "log_likelihood", "elpd", "difference", "difference_se", "p", "weight")
    texts = [voice.text(f"rivals.head_{head}") for head in heads]
    body = tuple((rival_name(row.model, voice), *_loo_cells(row, voice)) for row in rows)
    worse = frozenset(
        place
        for place, row in enumerate(rows)
        if row.loo is not None and outcome(row.loo.difference, row.loo.difference_se) == "worse"
    )
    return Table(voice.text("rivals.table_loo"), columns(*texts), body, worse)


def _loo_cells(row: RivalRow, voice: Voice) -> tuple[str, ...]:
    form, left = voice.numbers.decimal, row.loo
    if left is None:
        return (form(row.log_likelihood, 1), *(form(None) for _ in range(5)))
    return (
        form(row.log_likelihood, 1),
        form(left.elpd, 1),
        form(left.difference, 1),
        form(left.difference_se, 1),
        form(left.p, 1),
        voice.numbers.share(left.weight),
    )


def _holdout_table(group: RivalGroup, rows: Sequence[RivalRow], voice: Voice) -> dict[str, Any]:
    """Scores on the holdout, models in rows; the best of each score, by the digits shown, is marked."""
    values = {(score.method, score.score): score for score in group.scores}
    wanted = [name for name in SCORES[group.family] if any(score.score == name for score in group.scores)]
    shown = {name: [score_value(name, _value(values.get((row.model, name))), voice) for row in rows] for name in wanted}
    best = {name: _best_text(name, rows, values, voice) for name in wanted}
    covered = [
        [voice.numbers.share(found.covered) for found in row.coverage if found.probability in LEVELS] for row in rows
    ]
    heads = [voice.text(f"rivals.scores.{_kind(name)}") for name in wanted]
    heads += [str(voice.say("rivals.head_coverage", level=voice.numbers.setting(level))) for level in LEVELS]
    return {
        "label": voice.text("rivals.table_holdout"),
        "columns": [Column(voice.text("rivals.head_model"), number=False), *(Column(head) for head in heads)],
        "rows": [
            {
                "name": rival_name(row.model, voice),
                "own": row.model == group.main,
                "cells": [
                    *((shown[name][place], shown[name][place] == best[name]) for name in wanted),
                    *((text, False) for text in covered[place]),
                ],
            }
            for place, row in enumerate(rows)
        ],
    }


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value


def _kind(score: str) -> str:
    """purchases_log_score -> log_score."""
    return score.partition("_")[2]


def _best_text(name: str, rows: Sequence[RivalRow], values: Mapping[tuple[str, str], Score], voice: Voice) -> str:
    known = [value for row in rows if (value := _value(values.get((row.model, name)))) is not None]
    size = BETTER.get(_kind(name), float)
    return score_value(name, min(known, key=size), voice) if known else ""


# Cards


def _card(group: RivalGroup, row: RivalRow, voice: Voice) -> dict[str, Any]:
    return {
        "name": rival_name(row.model, voice),
        "own": row.model == group.main,
        "assumes": [
            (voice.text(f"rivals.facets.{facet}"), text)
            for facet in FACETS
            if (text := _assumption(row.model, facet, voice))
        ],
        "data": [*_what_the_data_say(group, row, voice), *_parameters(row, voice)],
        "holdout": _on_the_holdout(group, row, voice),
        "notes": [voice.say("rivals.note", note=note) for note in row.notes],
    }


def _assumption(model: str, facet: str, voice: Voice) -> str:
    """What a model assumes of one thing; where it says nothing of its own, what purchase models usually do."""
    entry = voice.words.at("rivals.models").get(model, {})
    usual = voice.words.at("rivals.usual") if "leaving" in entry else {}
    return str(entry.get(facet, usual.get(facet, "")))


def _what_the_data_say(group: RivalGroup, row: RivalRow, voice: Voice) -> list[Markup]:
    """The difference to the model that does without the assumption, in words."""
    gap = judged_by(group, row.model)
    if gap is None:
        return [voice.say("rivals.data.unknown")]
    found = outcome(gap.difference, gap.se)
    own = voice.words.at("rivals.models").get(row.model, {}).get("data")
    specific = own is not None and (row.model in BY_THE_BEST or gap.other in TESTED.get(row.model, ()))
    return [
        voice.say(
            f"rivals.models.{row.model}.data.{found}" if specific else f"rivals.data.{found}",
            other=rival_name(gap.other, voice),
            **_gap_in_words(gap.difference, gap.se, voice),
        )
    ]


def judged_by(group: RivalGroup, model: str) -> RivalGap | None:
    """The difference that tests a model's assumption; to the study's own model, or the best, where there is no test."""
    gaps = {gap.other: gap for gap in group.gaps if gap.model == model}
    if not gaps:
        return None
    best = min(gaps.values(), key=lambda gap: gap.difference)
    if model in BY_THE_BEST:
        return best
    return next((gaps[other] for other in (*TESTED.get(model, ()), group.main) if other in gaps), best)


def _parameters(row: RivalRow, voice: Voice) -> list[Markup]:
    """What a parameter says of the assumption by itself: regularity, correlation."""
    found = {parameter.name: parameter for parameter in row.parameters}
    said = []
    if "k" in found:
        said.append(("k", _against_one(found["k"].mean), found["k"]))
    if {"t", "gamma"} <= found.keys():
        mean = found["t"].mean / found["gamma"].mean
        said.append(("regularity", _against_one(mean), replace(found["t"], mean=mean, q05=None, q95=None)))
    if "rho" in found:
        said.append(("rho", _sign(found["rho"].q05, found["rho"].q95), found["rho"]))
    return [
        voice.say(
            f"rivals.parameters.{name}_{key}",
            value=voice.numbers.decimal(parameter.mean, 2).rstrip("0").rstrip("."),
            range=voice.numbers.span(parameter.q05, parameter.q95, lambda value: voice.numbers.decimal(value, 2)),
        )
        for name, key, parameter in said
    ]


def _against_one(value: float) -> str:
    """Regularity against that of chance, which is 1."""
    return "more" if value > REGULAR else "less" if value < 1 / REGULAR else "one"


def _sign(low: float | None, high: float | None) -> str:
    """Whether an interval leaves out zero, and on which side."""
    if low is None or high is None or low <= 0 <= high:
        return "none"
    return "positive" if low > 0 else "negative"


def _on_the_holdout(group: RivalGroup, row: RivalRow, voice: Voice) -> list[Markup]:
    """The total, and the scores on which it is settled as better or worse than the study's own model."""
    said = []
    if row.total.mean and group.actual:
        side = "over" if row.total.mean > group.actual else "under"
        gap = voice.numbers.share(abs(row.total.mean / group.actual - 1), 1)
        said.append(voice.say(f"rivals.total_{side}", total=_amount(group, row.total.mean, voice), gap=gap))
    if row.model == group.main:
        lost = [duel for duel in group.duels if duel.verdict == "method" and duel.score in SCORES[group.family]]
        beaten = [_score_and_models(score, lost, voice) for score in dict.fromkeys(duel.score for duel in lost)]
        key = "own_lost" if beaten else "own_unbeaten"
        return [*said, voice.say(f"rivals.{key}", scores=voice.numbers.listed(beaten))]
    duels = [duel for duel in group.duels if duel.method == row.model and duel.score in SCORES[group.family]]
    better, worse = (_scores(duels, verdict, voice) for verdict in ("method", "model"))
    found = {(True, True): "both", (True, False): "better", (False, True): "worse", (False, False): "open"}
    return [
        *said,
        voice.say(
            f"rivals.holdout_{found[bool(better), bool(worse)]}",
            own=rival_name(group.main, voice),
            better=voice.numbers.listed(better),
            worse=voice.numbers.listed(worse),
        ),
    ]


def _scores(duels: Sequence[Duel], verdict: str, voice: Voice) -> list[str]:
    return [voice.text(f"rivals.in_words.{_kind(duel.score)}") for duel in duels if duel.verdict == verdict]


def _score_and_models(score: str, lost: Sequence[Duel], voice: Voice) -> str:
    models = [duel.method for duel in lost if duel.score == score]
    name = voice.text(f"rivals.in_words.{_kind(score)}")
    return str(voice.say("rivals.own_lost_to", score=name, models=rival_names(models, voice)))
