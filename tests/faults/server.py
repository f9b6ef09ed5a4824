"""Runs of `clvmodels` by fork: this process has imported all that a run imports, and forks one for each request.

A run then costs what the study costs and not the seconds that Python takes to start. No study is run here: threads
and connections would not survive the fork. Requests and answers are lines of JSON (`runs.Server` is the other side).
"""

import importlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from clvmodels import cli
from tests.faults import hooks as _known_hooks  # noqa: F401 - imported once, for all runs


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"start": start, "reap": reap, "load": load, "prepare": prepare}[request.pop("do")](**request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def load(names: list[str]) -> int:
    """Import modules, those that a run was seen to have imported."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)
    return len(names)


def prepare(study: str, output: str, page: str) -> str:
    """Have in memory what every run of a study reads: its code for the keys of units, fonts, and templates of pages."""
    from clvmodels.report.index import render_index
    from clvmodels.report.render import render_report
    from clvmodels.study import read_study
    from clvmodels.study.run import graph_of, task_for

    file = read_study(study)
    graph_of(task_for(file, output=output))
    render_index(output)
    return str(render_report(Path(output) / file.study.name, output=page))


def reap(pid: int) -> int:
    """The exit code of a run, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def start(arguments: list[str], log: str, environment: dict[str, str], hooks: list[list[Any]]) -> int:
    """The process of a run, which leads a session of its own; it is there when this comes back."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for source, number in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(source, number)
        os.environ.update(environment)
        time.tzset()
        os.write(tell, b".")
        os.close(tell)
        run(arguments, hooks)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    return pid


def run(arguments: list[str], hooks: list[list[Any]]) -> None:
    """What `python -m clvmodels` does, after the hooks; it ends this process."""
    take_hooks(hooks)
    sys.exit(cli.main(arguments))


def take_hooks(hooks: list[list[Any]]) -> None:
    """Call functions, "module:function", with their arguments."""
    for where, *given in hooks:
        module, _, name = where.partition(":")
        getattr(importlib.import_module(module), name)(*given)


def note_modules(path: str) -> None:
    """A hook: write down, when the run ends, which modules it has imported."""
    import atexit

    atexit.register(lambda: Path(path).write_text(json.dumps(sorted(sys.modules))))


if __name__ == "__main__":
    main()
