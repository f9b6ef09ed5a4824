"""Did earlier forecasts come true: from few renewals, against those that followed."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.retention_results import BackTest, RetentionResults
from clvmodels.report import figures, retention_figures
from clvmodels.report.retention_figures import ForecastPanel
from clvmodels.report.sections.retention.wording import (
    age,
    heads,
    held_too_few,
    model_name,
    plain,
    renewals,
    segment_name,
    share,
)
from clvmodels.report.tables import Figure, Table, columns, csv_of
from clvmodels.report.voice import RetentionSource, Voice


def back_test(source: RetentionSource, voice: Voice) -> dict[str, Any] | None:
    """A sentence a forecast, the figure, the errors of all models; None without back-tests."""
    results = source.results
    own = [test for test in results.back_tests if test.model == results.study.model]
    if not own:
        return None
    return {
        "intro": voice.say("back_test.intro", model=model_name(results.study.model, voice)),
        "sentences": [_sentence(test, voice) for test in own],
        "figure": _figure(own, voice),
        "errors": _errors(results, voice),
        "compared": _compared(results, voice),
        "note": voice.say("back_test.errors_note", level=voice.level),
    }


def _sentence(test: BackTest, voice: Voice) -> Markup:
    """What the bands held, and where a forecast missed how far off it was at the last age."""
    last = test.points[-1] if test.points else None
    missed = held_too_few(test.held, test.ages) and last is not None
    return voice.say(
        "back_test.missed" if missed else "back_test.held",
        segment=segment_name(test.segment, voice),
        learnt=renewals(test.learnt_to, voice),
        held=voice.count(test.held),
        ages=voice.count(test.ages),
        level=voice.level,
        error=share(voice)(test.error),
        **({} if last is None else {"actual": voice.count(last.actual), "expected": voice.count(last.expected)}),
        range="" if last is None else voice.numbers.span(last.low, last.high, voice.count),
        age=renewals(last.age if last is not None else test.learnt_to, voice),
    )


def _title(test: BackTest, voice: Voice) -> str:
    segment, learnt = segment_name(test.segment, voice), renewals(test.learnt_to, voice)
    return plain(voice.say("back_test.panel", segment=segment, learnt=learnt))


def _figure(own: Sequence[BackTest], voice: Voice) -> Figure:
    words = {
        "actual": voice.text("back_test.actual"),
        "expected": voice.text("back_test.expected"),
        "band": str(voice.say("retention_terms.band", level=voice.level)),
        "age": voice.text("retention_terms.axis_age"),
    }
    panels = [ForecastPanel(_title(test, voice), test.learnt_to, test.points) for test in own]
    plot = retention_figures.back_test(panels, words, voice.numbers)
    both = retention_figures.panel_sizes(len(panels), height=250, narrow_height=220)
    alt = plain(voice.say("back_test.alt", panels=voice.numbers.listed([panel.title for panel in panels])))
    wide, narrow = figures.draw("back-test", alt, plot, both)
    names = ["segment", "model", "learnt_to", "age", "learnt", "actual", "expected", "low", "high"]
    csv = csv_of(
        names,
        (
            [test.segment, test.model, test.learnt_to, p.age, p.learnt, p.actual, p.expected, p.low, p.high]
            for test in own
            for p in test.points
        ),
    )
    return Figure("back-test", wide, narrow, _caption(own, voice), _table(own, voice), csv)


def _caption(own: Sequence[BackTest], voice: Voice) -> Markup:
    worst = max(own, key=lambda test: test.error)
    return voice.say(
        "back_test.caption",
        held=voice.count(sum(test.held for test in own)),
        ages=voice.count(sum(test.ages for test in own)),
        level=voice.level,
        segment=segment_name(worst.segment, voice),
        learnt=renewals(worst.learnt_to, voice),
        error=share(voice)(worst.error),
    )


def _table(own: Sequence[BackTest], voice: Voice) -> Table:
    """Each later number; those outside their band are set apart."""
    later = [(test, point) for test in own for point in test.points if not point.learnt]
    rows = tuple(
        (
            _title(test, voice),
            age(point.age, voice),
            voice.count(point.actual),
            voice.count(point.expected),
            voice.numbers.span(point.low, point.high, voice.count),
        )
        for test, point in later
    )
    outside = frozenset(place for place, (_, point) in enumerate(later) if not point.low <= point.actual <= point.high)
    texts = heads("back_test", ("forecast", "age", "actual", "expected", "interval"), voice)
    return Table(voice.text("back_test.table"), columns(*texts), rows, outside)


def _models(results: RetentionResults) -> list[str]:
    """Models of the back-tests, the study's own first."""
    return list(dict.fromkeys([results.study.model, *(test.model for test in results.back_tests)]))


def _errors(results: RetentionResults, voice: Voice) -> Table:
    """A row a forecast, a column a model: the error, the least of a row marked, and how many ages were held."""
    models = _models(results)
    by_forecast: dict[tuple[str, float], dict[str, BackTest]] = {}
    for test in results.back_tests:
        by_forecast.setdefault((test.segment, test.learnt_to), {})[test.model] = test
    rows = []
    for tests in by_forecast.values():
        least = min(test.error for test in tests.values())
        cells = (_error(tests[model], least, voice) if model in tests else voice.count(None) for model in models)
        rows.append((_title(next(iter(tests.values())), voice), *cells))
    texts = [voice.text("back_test.head_forecast"), *(model_name(model, voice) for model in models)]
    return Table(voice.text("back_test.table_errors"), columns(*texts), tuple(rows))


def _error(test: BackTest, least: float, voice: Voice) -> Markup:
    return voice.say(
        "back_test.cell_least" if test.error == least else "back_test.cell",
        error=share(voice)(test.error),
        held=voice.count(test.held),
        ages=voice.count(test.ages),
    )


def _compared(results: RetentionResults, voice: Voice) -> Markup | str:
    """Whose mean error over the back-tests is the smallest and whose the largest; nothing with one model alone."""
    errors = {model: [test.error for test in results.back_tests if test.model == model] for model in _models(results)}
    means = {model: sum(values) / len(values) for model, values in errors.items() if values}
    best, worst = min(means, key=lambda key: means[key]), max(means, key=lambda key: means[key])
    if best == worst:
        return ""
    return voice.say(
        "back_test.compared",
        best=model_name(best, voice),
        best_error=share(voice)(means[best]),
        worst=model_name(worst, voice),
        worst_error=share(voice)(means[worst]),
    )
