"""A run as Polars frames, for readers who would rather draw their own graph."""

import polars as pl

from gearsy.base.results import RunResult
from gearsy.reports.states import COUNTED, counted_states

_AFTER = {
    "control": pl.String,
    "measure": pl.String,
    "n_prompts": pl.Int64,
    "n_samples": pl.Int64,
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    **dict.fromkeys(COUNTED, pl.Int64),
}


def conditions_frame(result: RunResult) -> pl.DataFrame:
    """One row per condition and measure: a column per factor, then what was asked, found, and not answered.

    `control` is empty for the treatment. `estimate`, `low` and `high` are null where nothing could be rated. A
    factor that has the name of another column gets ` (factor)` after it.
    """
    names = {name: f"{name} (factor)" if name in _AFTER else name for name, _ in result.factors}
    schema = {**dict.fromkeys(names.values(), pl.String), **_AFTER}
    rows = [
        {
            **{column: dict(row.condition.levels).get(name) for name, column in names.items()},
            "control": row.condition.control,
            "measure": row.measure,
            "n_prompts": row.n_prompts,
            "n_samples": row.n_samples,
            "estimate": row.estimate.value if row.estimate else None,
            "low": row.estimate.low if row.estimate else None,
            "high": row.estimate.high if row.estimate else None,
            **counted_states(row),
        }
        for row in result.rows
    ]
    return pl.DataFrame(rows, schema=schema)


def theories_frame(result: RunResult) -> pl.DataFrame:
    """One row per theory and baseline, as the scoreboard has them; `crps` is in rate units, `log_e` natural."""
    schema = {
        "theory": pl.String,
        "baseline": pl.Boolean,
        "claim": pl.String,
        "verdict": pl.String,
        "because": pl.String,
        "bits": pl.Float64,
        "crps": pl.Float64,
        "log_e": pl.Float64,
        "against": pl.String,
        "power": pl.Float64,
        "abstained": pl.Int64,
        "gears": pl.List(pl.Struct({"name": pl.String, "bits_lost": pl.Float64})),
    }
    claims = dict(result.claims)
    rows = [
        {
            "theory": card.theory,
            "baseline": card.baseline,
            "claim": claims.get(card.theory),
            "verdict": card.verdict.name,
            "because": card.verdict.because,
            "bits": card.bits,
            "crps": card.crps,
            "log_e": card.log_e,
            "against": card.against,
            "power": card.power,
            "abstained": card.abstained,
            "gears": [{"name": gear.name, "bits_lost": gear.bits_lost} for gear in card.gears],
        }
        for card in result.theories
    ]
    return pl.DataFrame(rows, schema=schema)
