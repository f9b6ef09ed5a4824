"""The choices of what counts: each option by its word, in words, with the rows and the amount that it concerned."""

import datetime as dt
from typing import Any

from clvmodels.foundation.results import Choice
from clvmodels.report.sections.quality.comparing import option_name
from clvmodels.report.voice import Source, Voice

DAYS = ("first_day", "last_day")


def choices(source: Source, voice: Voice) -> dict[str, Any]:
    """An entry for each choice."""
    return {"choices": [_entry(choice, voice) for choice in source.results.data.choices]}


def _entry(choice: Choice, voice: Voice) -> dict[str, Any]:
    """A choice by its word, or one without a list of words by what it was given."""
    texts = voice.words.at("quality.options").get(choice.option, {})
    stated = "stated" in texts
    return {
        "name": option_name(choice.option, voice),
        "word": "" if stated else choice.word,
        "meaning": voice.say(f"quality.options.{choice.option}.stated", word=_stated(choice, voice))
        if stated
        else texts.get("words", {}).get(choice.word, ""),
        "numbers": voice.say(
            "quality.concerned" if choice.rows else "quality.concerned_none",
            rows=voice.count(choice.rows),
            amount=voice.numbers.exact(choice.amount),
        ),
    }


def _stated(choice: Choice, voice: Voice) -> str:
    """A day as a reader writes it, anything else as it stands."""
    if choice.option not in DAYS:
        return choice.word
    try:
        return voice.numbers.date(dt.date.fromisoformat(choice.word).isoformat())
    except ValueError:
        return choice.word
