"""What stated actions would bring, type by type, which are advised, and why the others are not."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from clvmodels.foundation.decision_results import ActionRow, ActionSetting, ActionsSection
from clvmodels.foundation.estimates import Estimate
from clvmodels.foundation.results import StudyResults
from clvmodels.report import decision_figures
from clvmodels.report.sections.headline import middle
from clvmodels.report.sections.parts import ALL, class_names, figure_of, flat_csv, table_of
from clvmodels.report.sections.retention.wording import listed, told
from clvmodels.report.tables import Figure
from clvmodels.report.voice import Source, Voice

EFFECTS = ("rate", "dropout", "spend")


def actions(source: Source, voice: Voice) -> dict[str, Any] | None:
    """The settings, what is advised, what is not and why, and the figure."""
    results = source.results
    section = results.actions
    if section is None or not section.actions:
        return None
    return {
        "intro": voice.say("actions.intro", **_limits(section, voice)),
        "settings": [_setting(setting, voice) for setting in section.settings],
        "left_out": [
            voice.say("actions.left_out", action=title(key, section, voice), message=message)
            for key, message in section.left_out.items()
            if key in {setting.key for setting in section.settings}
        ],
        "advised": [advice("actions.advised", row, results, voice) for row in advised(section)],
        "none": voice.say("actions.none", **_limits(section, voice)),
        "refused": [
            _refused(setting, section, results, voice) for setting in section.settings if _not(setting, section)
        ],
        "figure": _figure(section, results, voice),
    }


def advised(section: ActionsSection) -> list[ActionRow]:
    """What is recommended, the largest gain first."""
    return sorted((row for row in section.actions if row.advised), key=lambda row: -(middle(row.gain) or 0.0))


def advice(key: str, row: ActionRow, results: StudyResults, voice: Voice) -> Markup:
    """A sentence on an action in a type, with its money, its chance and the limits that it is held against."""
    assert results.actions is not None
    numbers = voice.numbers
    return voice.say(
        key,
        action=title(row.action, results.actions, voice),
        type=_whom(row, results, voice),
        customers=voice.count(row.customers),
        cost=numbers.money(row.cost),
        gain=numbers.money(middle(row.gain)),
        range=numbers.interval(row.gain, numbers.money),
        p_loss=numbers.share(row.p_loss),
        p_gain=numbers.share(1 - row.p_loss),
        **_limits(results.actions, voice),
    )


def _type(row: ActionRow, results: StudyResults, voice: Voice) -> str:
    """The name of a row's type; all whom an action is for are not the whole base where it leaves out a type."""
    if row.cell == ALL and row.customers < results.value.customers:
        return voice.text("actions.all_meant")
    return class_names(results, voice).get(row.cell, row.cell)


def _whom(row: ActionRow, results: StudyResults, voice: Voice) -> str:
    """The name of a row's type within a sentence."""
    whole = row.cell == ALL and row.customers >= results.value.customers
    return voice.text("actions.all_whole") if whole else _type(row, results, voice)


def title(key: str, section: ActionsSection, voice: Voice) -> str:
    """An action's title in the reader's language; its key where it has none."""
    found = next((setting for setting in section.settings if setting.key == key), None)
    return key if found is None else found.title.get(voice.words.language, key)


def _not(setting: ActionSetting, section: ActionsSection) -> list[ActionRow]:
    """Rows of an action that are not recommended."""
    return [row for row in section.actions if row.action == setting.key and not row.advised]


def _refused(setting: ActionSetting, section: ActionsSection, results: StudyResults, voice: Voice) -> Markup:
    """Where an action is not recommended, and why."""
    reasons = []
    for reason in ("chance", "types", "small"):
        types = [
            voice.say(
                "actions.refused_type",
                type=_whom(row, results, voice),
                number=voice.count(row.customers) if reason == "small" else voice.numbers.share(1 - row.p_loss),
            )
            for row in _not(setting, section)
            if row.reason == reason
        ]
        if types:
            reasons.append(
                voice.say(f"actions.refused_{reason}", types=listed(types, voice), **_limits(section, voice))
            )
    told_all = Markup(voice.text("actions.refused_then")).join(reasons)
    return voice.say("actions.refused", action=title(setting.key, section, voice), reasons=told_all)


def _limits(section: ActionsSection, voice: Voice) -> dict[str, str]:
    return {"chance": voice.numbers.setting(section.least_chance), "least": voice.count(section.least_customers)}


def _setting(setting: ActionSetting, voice: Voice) -> Markup:
    effects = [_effect(name, effect, voice) for name in EFFECTS if (effect := getattr(setting, name)) is not None]
    return voice.say(
        "actions.setting",
        action=setting.title.get(voice.words.language, setting.key),
        cost=voice.numbers.money(setting.cost),
        effects=listed(effects, voice),
    )


def _effect(name: str, effect: Estimate, voice: Voice) -> Markup:
    """A factor as a change: by its median, with its interval."""
    change = voice.numbers.change
    low, high = (None if end is None else end - 1 for end in (effect.q05, effect.q95))
    return voice.say(
        f"actions.effect_{name}",
        change=change(None if effect.q50 is None else effect.q50 - 1),
        range=voice.numbers.span(low, high, change),
    )


def _figure(section: ActionsSection, results: StudyResults, voice: Voice) -> Figure:
    numbers, rows = voice.numbers, section.actions
    by_action = {key: [row for row in rows if row.action == key] for key in dict.fromkeys(row.action for row in rows)}
    panels = [
        decision_figures.Gains(
            title(key, section, voice),
            [(_type(row, results, voice), row.gain, row.advised) for row in of_action],
            [place for place, row in enumerate(rows) if row.action == key],
        )
        for key, of_action in by_action.items()
    ]
    heads = ("action", "type", "customers", "cost", "gain", "p_loss", "verdict")
    return figure_of(
        "actions",
        decision_figures.gains(panels, voice.text("actions.axis"), numbers),
        decision_figures.stacked_sizes([len(of_action) for of_action in by_action.values()]),
        alt=voice.say("actions.alt"),
        caption=_caption(results, section, voice),
        table=table_of("actions", heads, _rows(results, section, voice), voice, words=2),
        csv=flat_csv(rows),
    )


def _rows(results: StudyResults, section: ActionsSection, voice: Voice) -> Iterator[tuple[str, ...]]:
    numbers = voice.numbers
    for row in section.actions:
        yield (
            title(row.action, section, voice),
            _type(row, results, voice),
            voice.count(row.customers),
            numbers.cell(row.cost),
            told(row.gain, numbers.cell, voice),
            numbers.share(row.p_loss),
            voice.text(f"actions.verdict_{row.reason or 'advised'}"),
        )


def _caption(results: StudyResults, section: ActionsSection, voice: Voice) -> Markup:
    best = max(section.actions, key=lambda row: middle(row.gain) or 0.0)
    numbers = voice.numbers
    return voice.say(
        "actions.caption",
        action=title(best.action, section, voice),
        type=_whom(best, results, voice),
        gain=numbers.money(middle(best.gain)),
        range=numbers.interval(best.gain, numbers.money),
        p_loss=numbers.share(best.p_loss),
    )
