"""Runs at once in one folder: all end well, and the report is bit for bit that of a run alone."""

import pytest

from tests.faults.folders import renewed, report_in, require_finished, require_whole


@pytest.mark.parametrize("n_runs", [2, 8])
@pytest.mark.parametrize("name", ["club", "shop"])
def test_runs_at_once_agree(small, output, name, n_runs, full, record):
    """Fails where two runs write one file, or where one clears up what another is about to use."""
    if not full and (name, n_runs) != ("club", 2):
        pytest.skip("only with --full")
    study = small(name)
    renewed(output, study.before)
    runs = [study.server.start(study.arguments(output)) for _ in range(n_runs)]
    while not all(run.ended_within(0.02) for run in runs):
        require_whole(output, name, [study.old, study.new])
    assert [run.code for run in runs] == [0] * n_runs, "\n".join(run.said()[-500:] for run in runs if run.code)
    require_finished(output, name, study.after)
    record(f"{n_runs} runs at once ({name})", "one folder, the same study", runs=n_runs, identical=n_runs)


def test_two_studies_at_once_in_one_folder_do_not_disturb_each_other(shop, club, output, only_full, record):
    """Fails where one study's run clears away what another's has kept."""
    runs = [study.server.start(study.arguments(output)) for study in (shop, club)]
    assert [run.wait() for run in runs] == [0, 0], "\n".join(run.said()[-500:] for run in runs)
    for study in (shop, club):
        assert report_in(output / study.name) == study.new_alone
    record("two studies at once", "one folder", runs=2, identical=2)


def test_a_run_beside_one_that_is_killed_ends_well(club, output, rng, full, record):
    """Fails where a lock outlives its owner."""
    study = club
    rounds = 10 if full else 1
    for _ in range(rounds):
        renewed(output, study.before)
        first, second = (study.server.start(study.arguments(output)) for _ in range(2))
        first.killed_at(rng.uniform(0, 1.5 * study.seconds))
        assert second.wait() == 0, second.said()
        require_whole(output, study.name, [study.new])
        run = study.server.start(study.arguments(output))
        assert run.wait() == 0, run.said()
        require_finished(output, study.name, study.after)
    record("kill -9 of one of two runs at once", "at uniform moments", runs=rounds, identical=rounds)
