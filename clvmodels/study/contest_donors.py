"""The contest on the published donors, of whom counts alone are known."""

from dataclasses import replace

from clvmodels.evaluation import difficulty_rows, donor_contest, donor_costs, rolling_contest
from clvmodels.evaluation.donors import DonorContest
from clvmodels.evaluation.method_calibration import method_calibrations, occasion_checks
from clvmodels.foundation.contest_results import ContestData
from clvmodels.foundation.results import MethodCost
from clvmodels.study.contest_config import DONORS, ContestStudy
from clvmodels.study.progress import seed_for


def hold_donors(study: ContestStudy) -> ContestData:
    """The contest of one year, looked at closely."""
    assert study.donors is not None
    found = _found(study)
    occasion = replace(found.occasion, checks=occasion_checks(found.occasion, found.customers, seed=study.seed))
    section = rolling_contest(
        [found.window],
        lambda _: occasion,
        model=study.donors.method,
        seed=study.seed,
        data=DONORS,
        replicates=study.contest.replicates,
        level=study.contest.level,
    )
    gifts = occasion.holdout.purchases
    return ContestData(
        key=DONORS,
        title=study.donors.title,
        kind="donors",
        source=study.donors.source,
        story="",
        shuffled=False,
        currency="",
        unit=found.window.unit,
        rows_read=len(gifts),
        occasions=int(gifts.sum()),
        customers=len(gifts),
        first_date="1995-01-01",
        last_date=str(found.window.holdout_end),
        contests=[section],
        difficulty=difficulty_rows(found.methods, section),
        panel_end=found.window.calibration_end.isoformat(),
        calibration=method_calibrations(
            occasion, found.customers, seed=study.seed, replicates=study.contest.replicates
        ),
    )


def measure_donors(study: ContestStudy) -> list[MethodCost]:
    """What each method's forecast of the donors cost."""
    return donor_costs(_found(study))


def _found(study: ContestStudy) -> DonorContest:
    return donor_contest(seed=seed_for(study.seed, DONORS), draws=study.fit.draws)
