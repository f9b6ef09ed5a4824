"""Two studies that take a second or two, each with an old report and a new one that differ by the seed."""

import json
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from clvmodels.models import bg_nbd
from tests.faults.folders import INDEX, NOTE, Report, renewed, report_in
from tests.faults.runs import Server

OLD, NEW = 5, 6  # seeds

SHOP = """
name = "shop"
seed = {seed}
languages = ["en"]
title = {{ en = "A shop", zh = "某店" }}

[data]
source = "{source}"
currency = "EUR"

[window]
calibration_end = 2023-12-31
holdout_end = 2024-04-30
unit = "week"

[fit]
draws = 100
compare = ["mle"]
replicates = 20

[value]
horizon = 26
annual_discount_rate = 0.075
margin = 0.3

[matrix]
names = "metal"
current = {{ share_of_value = 0.8 }}
future = {{ amount = 20.0 }}

[contest]
baselines = ["same_rate"]
replicates = 100
best = false
"""

CLUB = """
kind = "retention"
name = "club"
seed = {seed}
languages = ["en"]
title = {{ en = "A club", zh = "某俱乐部" }}

[contracts]
unit = "year"
currency = "EUR"
survivors = {{ card = [1000, 869, 743, 653, 593], cash = [1000, 631, 468, 382, 326] }}

[models]
main = "sbg"
rivals = ["geometric"]

[fit]
draws = 100

[check]
learn_to = [3]
ahead = 3

[value]
price = 10.0
annual_discount_rate = 0.1
"""


def purchases(size: int) -> pd.DataFrame:
    """A year and a half of purchases of so many customers."""
    rng = np.random.default_rng(3)
    first = rng.integers(0, 180, size)
    buyer, times = bg_nbd.simulate(rng, {"r": 0.8, "alpha": 60.0, "a": 0.8, "b": 4.0}, 545.0 - first)
    who = np.concatenate([np.arange(size), buyer])
    day = np.concatenate([first, np.ceil(first[buyer] + times)]).astype("timedelta64[D]")
    amount = np.round(np.exp(3 + 0.5 * rng.normal(size=len(who))), 2)
    columns = {"customer_id": [f"{i:05d}" for i in who], "date": np.datetime64("2023-01-01") + day, "amount": amount}
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class Small:
    """A small study: its files, and the reports of undisturbed runs."""

    name: str
    text: str
    place: Path
    server: Server

    @cached_property
    def source(self) -> Path:
        """The log that a study of purchases reads."""
        self.place.mkdir(parents=True, exist_ok=True)
        path = self.place / "log.csv"
        purchases(150).to_csv(path, index=False)
        return path

    def file(self, seed: int) -> Path:
        """The study's file with a seed."""
        path = self.place / f"{self.name}.{seed}.toml"
        if not path.is_file():
            path.write_text(self.text.format(seed=seed, source=self.source.as_posix()), encoding="utf-8")
        return path

    def arguments(self, output: Path, seed: int = NEW) -> list[str]:
        """Of the command line."""
        return ["study", str(self.file(seed)), "--output", str(output)]

    @cached_property
    def before(self) -> Path:
        """Reports with the old one, a reader's note in it, and all that its run has kept."""
        output = self.place / f"{self.name}.before"
        self._run(output, OLD)
        (output / self.name / NOTE).write_text("Ask the board.\n", encoding="utf-8")
        return output

    @cached_property
    def after(self) -> Path:
        """The same after an undisturbed run of the new one."""
        output = renewed(self.place / f"{self.name}.after", self.before)
        self._run(output, NEW)
        return output

    @cached_property
    def alone(self) -> Path:
        """Reports with the new one, in a folder that was empty."""
        output = self.place / f"{self.name}.alone"
        self._run(output, NEW)
        return output

    @cached_property
    def warm(self) -> Path:
        """The old report, with all in the cache that the new one rests on."""
        output = renewed(self.place / f"{self.name}.warm", self.after)
        for page in INDEX:
            shutil.copy2(self.before / page, output)
        renewed(output / self.name, self.before / self.name)
        return output

    @cached_property
    def old(self) -> Report:
        """The old report."""
        return report_in(self.before / self.name)

    @cached_property
    def new(self) -> Report:
        """The new one, with the reader's note."""
        return report_in(self.after / self.name)

    @cached_property
    def new_alone(self) -> Report:
        """The new one in a folder of its own."""
        return report_in(self.alone / self.name)

    @cached_property
    def seconds(self) -> float:
        """What an undisturbed run of the new one takes, modules and kernels being there."""
        output = renewed(self.place / f"{self.name}.timed", self.before)
        start = time.monotonic()
        self._run(output, NEW)
        return time.monotonic() - start

    def _run(self, output: Path, seed: int) -> None:
        run = self.server.start(self.arguments(output, seed))
        assert run.wait() == 0, run.said()


STUDIES = {"shop": SHOP, "club": CLUB}


def prepared(name: str, server: Server, place: Path) -> Small:
    """A study, whose runs find in the server whatever they import and read."""
    study = Small(name, STUDIES[name], place, server)
    modules, output = place / f"{name}.modules", place / f"{name}.first"
    hook = ["tests.faults.server:note_modules", str(modules)]
    run = server.start(study.arguments(output, OLD), hooks=[hook])
    assert run.wait() == 0, run.said()
    server.load(json.loads(modules.read_text()))
    server.prepare(study.file(OLD), output, place / f"{name}.html")
    return study
