"""How concentrated the value is: the share of the best customers, with its band, and Gini's coefficient."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from clvmodels.foundation.decision_results import LorenzPoint
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures, figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import figure_of, flat_csv, table_of
from clvmodels.report.tables import Figure
from clvmodels.report.voice import Source, Voice

TENTH, FIFTH, HALF = 0.1, 0.2, 0.5
SHOWN_SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def concentration(source: Source, voice: Voice) -> dict[str, Any]:
    """Two sentences and the curve."""
    results = source.results
    points = _points(results)
    return {
        "text": _text(results, voice),
        "gini": _gini(results, voice),
        "figure": _figure(points, voice) if points else None,
    }


def _points(results: StudyResults) -> list[LorenzPoint]:
    """The curve with its band, or without where the results have none."""
    if results.money is not None and results.money.lorenz:
        return results.money.lorenz
    plain = [LorenzPoint(share, Estimate(held, None, None, held, None)) for share, held in results.value.lorenz]
    return [LorenzPoint(0.0, Estimate(0.0, None, None, 0.0, None)), *plain] if plain else []


def _text(results: StudyResults, voice: Voice) -> Markup:
    value, share = results.value, voice.numbers.share
    return voice.say(
        "concentration.text",
        tenth=share(TENTH),
        tenth_share=share(value.top_10_share.mean),
        tenth_range=voice.numbers.interval(value.top_10_share, share),
        fifth=share(FIFTH),
        fifth_share=share(value.top_20_share.mean),
        fifth_range=voice.numbers.interval(value.top_20_share, share),
    )


def _gini(results: StudyResults, voice: Voice) -> Markup | None:
    if results.money is None:
        return None
    gini = results.money.gini

    def form(value: float | None) -> str:
        return voice.numbers.decimal(value, 2)

    return voice.say("concentration.gini", gini=form(middle(gini)), range=voice.numbers.interval(gini, form))


def _figure(points: Sequence[LorenzPoint], voice: Voice) -> Figure:
    share = voice.numbers.share
    customers = np.array([point.customers for point in points])
    mean, low, high = decision_figures.bounds([point.value for point in points])

    def held(part: float) -> tuple[float, float, float]:
        return tuple(float(np.interp(part, customers, line)) for line in (mean, low, high))  # type: ignore[return-value]

    words = {key: voice.text(f"concentration.figure_{key}") for key in ("customers", "value", "mark")}
    rows = (
        (share(part), share(held(part)[0], 1), voice.numbers.span(*held(part)[1:], lambda value: share(value, 1)))
        for part in SHOWN_SHARES
    )
    return figure_of(
        "concentration",
        decision_figures.concentration(points, SHOWN_SHARES, words, voice.numbers),
        figures.sizes(1, height=320, narrow_height=280),
        alt=voice.say(
            "concentration.alt",
            tenth=share(TENTH),
            tenth_share=share(held(TENTH)[0]),
            fifth=share(FIFTH),
            fifth_share=share(held(FIFTH)[0]),
        ),
        caption=voice.say(
            "concentration.caption", half=share(float(np.interp(HALF, mean, customers)), 1), level=voice.level
        ),
        table=table_of("concentration", ("customers", "value", "range"), rows, voice),
        csv=flat_csv(points),
    )
