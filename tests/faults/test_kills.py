"""Kills at any moment, also while a run recovers: no report is torn, and the end is bit for bit the same."""

from tests.faults.folders import renewed, require_finished, require_whole

AGAIN = 0.5  # chance that the run on the leftovers of a kill is killed too


def killed_until_it_recovers(study, output, rng, *, is_first):
    """Kills of runs in one folder, one upon the other, and the resumed run at the end; how many there were."""
    reference = study.alone if is_first else study.after
    states = [None, study.new_alone] if is_first else [study.old, study.new]
    renewed(output, None if is_first else study.before)
    kills = 0
    while kills == 0 or rng.random() < AGAIN:
        run = study.server.start(study.arguments(output))
        if not run.killed_at(rng.uniform(0, study.seconds)):
            assert run.code == 0, run.said()
            break
        kills += 1
        assert run.others() == []
        require_whole(output, study.name, states)
    run = study.server.start(study.arguments(output))
    assert run.wait() == 0, run.said()
    require_finished(output, study.name, reference)
    return kills


def test_a_run_killed_at_any_moment_leaves_a_whole_report_and_resumes_to_the_same_bits(
    small, output, rng, portion, full, record
):
    """Fails where files are written one by one into the report's folder, or where a unit's entry is not moved whole."""
    wanted = portion[1]
    kills = ends = 0
    while kills < wanted:
        study = small("shop" if full and rng.random() < 0.25 else "club")
        kills += killed_until_it_recovers(study, output, rng, is_first=rng.random() < 0.25)
        ends += 1
    record("kill -9, also while recovering", "at uniform moments of a run", runs=kills, identical=ends)
