"""From a finished run to findings: one for each estimated condition, with what it held under."""

from gearsy.base.bets import Finding
from gearsy.base.results import RunResult


def findings(result: RunResult) -> list[Finding]:
    """The primary measure of each condition as a finding; a run that failed a gate leaves none."""
    if result.verdict.name in ("INADMISSIBLE", "DEVIATED"):
        return []
    model = result.systems[0][0]
    return [
        Finding(
            estimand=f"{result.study}: {row.measure}, {row.condition.key}",
            effect=row.estimate.value,
            low=row.estimate.low,
            high=row.estimate.high,
            n=row.estimate.n,
            moderators=(
                *row.condition.levels,
                ("control", row.condition.control),
                ("model", model),
                ("size", result.size),
            ),
            source=f"run {result.run_id}",
            registered=all(registration.before_answers for registration in result.registrations),
        )
        for row in result.rows
        if row.measure == result.primary and row.estimate is not None
    ]
