"""The models of retention: what each assumes, which one the data trust, and whether the fits can be."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.results import FitRow
from clvmodels.foundation.retention_results import RetentionResults, RivalCurve, SegmentRetention
from clvmodels.report.sections.models import checks_of, fits_side_by_side
from clvmodels.report.sections.retention.who_stays import fit_name
from clvmodels.report.sections.retention.wording import best_rival, heads, model_name, segment_name, settled
from clvmodels.report.tables import Table, columns
from clvmodels.report.voice import RetentionSource, Voice


def retention_models(source: RetentionSource, voice: Voice) -> dict[str, Any]:
    """What the models assume, how they compare on customers left out, their checks and parameters."""
    results = source.results
    compared = [segment for segment in results.segments if len(segment.rivals) > 1]
    return {
        "about": _about(results, voice),
        "verdicts": [_verdict(segment, voice) for segment in compared],
        "doubts": [
            _doubt(rival, segment, voice) for segment in compared for rival in segment.rivals if rival.unreliable
        ],
        "compared": _compared(compared, voice) if compared else None,
        "fits": _fits(results, voice) if results.fits else None,
    }


def _fits(results: RetentionResults, voice: Voice) -> dict[str, Any]:
    """The checks of all fits, and the parameters of the model that values rest on apart from the others'."""
    segments = {id(fit): segment for fit, segment in zip(results.fits, results.fit_segments, strict=True)}

    def name_of(fit: FitRow) -> str:
        return fit_name(fit, segments[id(fit)], voice)

    def shown(fits: Sequence[FitRow]) -> dict[str, Any]:
        title = Markup("{}").format(name_of(fits[0]))
        customers, patterns = voice.count(fits[0].customers), voice.count(fits[0].patterns)
        text = voice.say("retention_models.counted", customers=customers, patterns=patterns)
        return {**fits_side_by_side(fits, title, voice), "text": text}

    groups = _side_by_side(results)
    return {
        **checks_of(results.fits, name_of, voice),
        "own": [shown(fits) for fits in groups if fits[0].model == results.study.model],
        "others": [shown(fits) for fits in groups if fits[0].model != results.study.model],
    }


def _about(results: RetentionResults, voice: Voice) -> list[tuple[str, str]]:
    """The assumption of each model of the study, in its order."""
    said = voice.words.at("retention_models.about")
    models = [results.study.model, *(r.model for s in results.segments for r in s.rivals)]
    models += [fit.model for fit in results.fits]
    return [(model_name(model, voice), said[model]) for model in dict.fromkeys(models) if model in said]


def _side_by_side(results: RetentionResults) -> list[list[FitRow]]:
    """Fits of one model to one segment and window, whatever their method."""
    found: dict[tuple[str, str, str], list[FitRow]] = {}
    for fit, segment in zip(results.fits, results.fit_segments, strict=True):
        found.setdefault((segment, fit.model, fit.window), []).append(fit)
    return list(found.values())


def _verdict(segment: SegmentRetention, voice: Voice) -> Markup:
    """The best model of a segment, those that cannot be told from it, and those settled as worse."""
    best = best_rival(segment.rivals)
    others = [rival for rival in segment.rivals if rival is not best]
    even = [rival.model for rival in others if not settled(rival)]
    worse = [rival.model for rival in others if settled(rival)]
    names = partial(_names, voice=voice)
    key = "best_alone" if not even else "best_of_some" if worse else "best_tied"
    return voice.say(
        f"retention_models.{key}",
        segment=segment_name(segment.name, voice),
        model=model_name(best.model, voice),
        even=names(even),
        worse=names(worse),
    )


def _names(models: Sequence[str], voice: Voice) -> str:
    return voice.numbers.listed([model_name(model, voice) for model in models])


def _doubt(rival: RivalCurve, segment: SegmentRetention, voice: Voice) -> Markup:
    return voice.say(
        "retention_models.unreliable",
        segment=segment_name(segment.name, voice),
        model=model_name(rival.model, voice),
        count=voice.count(rival.unreliable),
        worst=voice.numbers.decimal(rival.worst_k, 2),
    )


def _compared(segments: Sequence[SegmentRetention], voice: Voice) -> Table:
    """Models of each segment from the best down; those settled as worse are set apart."""
    form = voice.numbers.decimal
    found = [(segment, rival) for segment in segments for rival in sorted(segment.rivals, key=lambda r: -r.elpd)]
    rows = tuple(
        (
            segment_name(segment.name, voice),
            model_name(rival.model, voice),
            form(rival.log_likelihood, 1),
            form(rival.elpd, 1),
            form(rival.difference, 1),
            form(rival.difference_se, 1),
            voice.numbers.share(rival.weight),
            form(rival.worst_k, 2),
        )
        for segment, rival in found
    )
    worse = frozenset(
        place
        for place, (segment, rival) in enumerate(found)
        if rival is not best_rival(segment.rivals) and settled(rival)
    )
    names = ("segment", "model", "log_likelihood", "elpd", "difference", "difference_se", "weight", "worst_k")
    texts = heads("retention_models", names, voice)
    return Table(voice.text("retention_models.table_compared"), columns(*texts, words=2), rows, worse)
