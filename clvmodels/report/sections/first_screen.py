"""The first screen whole: what the base is worth and who needs what, with what to do on Monday and what is not sure."""

from typing import Any

from clvmodels.report.sections.headline import headline
from clvmodels.report.sections.monday import monday
from clvmodels.report.voice import Source, Voice


def first_screen(source: Source, voice: Voice) -> dict[str, Any]:
    """The headline, and beside it the two lists."""
    return {**headline(source, voice), **monday(source.results, voice)}
