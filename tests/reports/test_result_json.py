"""`result.json` keeps its documented schema and is valid JSON for every run."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

from gearsy.base.results import RunResult
from gearsy.reports.result_json import to_public_json

TOP = {
    "schema_version", "study", "run_id", "size", "question", "source", "answer", "verdict", "systems", "factors",
    "measures", "primary", "controls", "conditions", "theories", "baselines", "signatures", "gates", "limits",
    "exchanges", "trainings", "registrations", "ledger_head", "timing", "settings",
}  # fmt: skip
CONDITION = {
    "key", "factors", "control", "facts", "measure", "n_prompts", "n_samples", "estimate", "low", "high", "level",
    "method", "failures", "refusals", "states", "by_seed",
}  # fmt: skip
ENTRANT = {
    "name", "claim", "bits", "crps", "e_value", "log_e", "verdict", "because", "against", "power", "abstained",
    "gears", "bits_over", "bits_by_condition", "bets",
}  # fmt: skip


def test_keys(result: RunResult) -> None:
    public = to_public_json(result)
    assert public["schema_version"] == 1
    assert set(public) == TOP
    assert set(public["conditions"][0]) == CONDITION
    assert all(set(entrant) == ENTRANT for entrant in public["theories"] + public["baselines"])
    assert len(public["conditions"]) == len(result.rows)
    assert [t["name"] for t in public["baselines"]] == ["pooled mean", "ignorance"]


def test_it_survives_a_round_trip(result: RunResult) -> None:
    public = to_public_json(result)
    assert json.loads(json.dumps(public, allow_nan=False)) == public


def test_numbers_are_the_runs_own(result: RunResult) -> None:
    public = to_public_json(result)
    row = next(c for c in public["conditions"] if c["measure"] == "exact match")
    assert (row["failures"], row["refusals"], row["states"]["truncated"]) == (1, 3, 7)
    first = public["theories"][0]
    assert math.isclose(first["e_value"], math.exp(first["log_e"]))
    assert first["gears"] == [{"name": "guessing", "bits_lost": 9.4}, {"name": "storage", "bits_lost": 61.2}]
    assert len(first["bets"]) == 6


def test_no_infinity_and_null_where_there_is_no_number(result_with_holes: RunResult) -> None:
    public = to_public_json(result_with_holes)
    text = json.dumps(public, allow_nan=False)
    assert "Infinity" not in text
    first, second, third = public["theories"]
    assert first["e_value"] == sys.float_info.max
    assert first["log_e"] == 5000.0
    assert (second["e_value"], second["log_e"], second["bits"]) == (0.0, None, None)
    assert third["bets"][-1]["mean"] is None
    empty = [c for c in public["conditions"] if c["key"] == "trained=both, asked=reverse"]
    assert all(c["estimate"] is None and c["low"] is None and c["failures"] == 216 for c in empty)


def test_not_a_number_is_null(result: RunResult) -> None:
    odd = replace(result, theories=(replace(result.theories[0], log_e=math.nan, crps=math.nan),))
    card = to_public_json(odd)["theories"][0]
    assert (card["e_value"], card["log_e"], card["crps"]) == (None, None, None)


def test_every_field_is_documented(result: RunResult) -> None:
    page = Path(__file__).parents[2] / "docs" / "result-json.md"
    named = set(re.findall(r"`([a-z_]+)(?:\[\])?`", page.read_text(encoding="utf-8")))

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            free = {"factors", "facts", "states"}
            return set(value) | {
                k for name, v in value.items() if name not in free or isinstance(v, list) for k in keys(v)
            }
        return {k for item in value for k in keys(item)} if isinstance(value, list) else set()

    assert keys(to_public_json(result)) <= named
