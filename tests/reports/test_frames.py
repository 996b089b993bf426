"""The frames have a stated schema, whatever the run holds."""

from dataclasses import replace

import polars as pl

from gearsy.base.records import Condition
from gearsy.base.results import RunResult
from gearsy.reports.frames import conditions_frame, theories_frame


def test_one_row_a_condition_and_measure(result: RunResult) -> None:
    frame = conditions_frame(result)
    assert frame.height == 6 * 4 * 4
    assert frame.columns[:4] == ["trained", "asked", "control", "measure"]
    row = frame.filter(trained="both", asked="reverse", control="", measure="retrieval").row(0, named=True)
    assert row["estimate"] == 0.958
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["n_prompts"], row["n_samples"]) == (72, 216)


def test_states_are_counted(result: RunResult) -> None:
    frame = conditions_frame(result).filter(measure="exact match")
    assert frame["refusals"].unique().to_list() == [3]
    assert frame["truncated"].unique().to_list() == [7]
    assert frame["failures"].unique().to_list() == [1]


def test_a_state_without_a_column_is_still_counted(result: RunResult) -> None:
    odd = replace(result, rows=(replace(result.rows[0], states=(("lost", 2), ("ok", 9), ("lost", 3))),))
    assert conditions_frame(odd)["other"].to_list() == [5]


def test_what_could_not_be_rated_is_null(result_with_holes: RunResult) -> None:
    frame = conditions_frame(result_with_holes).filter(trained="both", asked="reverse", control="")
    assert frame["estimate"].null_count() == frame.height == 4
    assert frame["failures"].to_list() == [216] * 4


def test_a_factor_may_be_called_as_a_column_is(result: RunResult) -> None:
    where = Condition(levels=(("measure", "long"),))
    odd = replace(result, factors=(("measure", ("long",)),), rows=(replace(result.rows[0], condition=where),))
    frame = conditions_frame(odd)
    assert frame["measure (factor)"].to_list() == ["long"]
    assert frame["measure"].to_list() == ["retrieval"]


def test_an_empty_run_keeps_the_schema(result: RunResult) -> None:
    assert conditions_frame(replace(result, rows=())).schema == conditions_frame(result).schema


def test_theories(result: RunResult) -> None:
    frame = theories_frame(result)
    assert frame["theory"].to_list() == [card.theory for card in result.theories]
    assert frame["baseline"].sum() == 2
    assert frame.schema["gears"] == pl.List(pl.Struct({"name": pl.String, "bits_lost": pl.Float64}))
    assert frame["gears"][0].to_list()[1] == {"name": "storage", "bits_lost": 61.2}
