"""Every command on a real, small run: the toy, trained from scratch."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from cli_words import TINY

import gearsy as g


def run_id(lab: Path) -> str:
    return next(lab.joinpath("reports").iterdir()).name if any(lab.joinpath("reports").iterdir()) else ""


def test_run_again_asks_nothing_and_prints_json_only(gearsy, toy_lab: Path):
    again = gearsy("run", TINY, "--system", "toy", "--lab", toy_lab, "--json")
    assert again.code == 0
    result = json.loads(again.out)
    settings = {setting["name"]: setting["value"] for setting in result["settings"]}
    assert settings["asked now"] == "0"
    assert int(settings["found in the lab"]) > 0
    cells = {
        (c["factors"]["trained"], c["factors"]["asked"]): c["estimate"]
        for c in result["conditions"]
        if c["measure"] == "retrieval" and not c["control"]
    }
    assert cells["name→description", "name→description"] >= 0.9
    assert cells["description→name", "description→name"] >= 0.9
    bits = {theory["name"]: theory["bits"] for theory in result["theories"]}
    assert bits["directed association"] > bits["symmetric fact"]
    for field in ("study", "run_id", "systems", "conditions", "theories", "answer", "timing"):
        assert field in result
    assert {"name", "bits", "crps", "e_value", "verdict", "gears"} <= set(result["theories"][0])
    row = {"factors", "measure", "n_prompts", "n_samples", "estimate", "low", "high", "failures", "refusals"}
    assert row <= set(result["conditions"][0])


def test_bets_were_sealed_before_anything_was_asked(gearsy, toy_lab: Path):
    with g.Lab.open(toy_lab, create=False) as lab:
        kinds = [entry.kind for entry in lab.ledger.entries()]
    assert kinds[:6] == ["registration", "prediction", "prediction", "prediction", "tuning", "asking"]
    assert gearsy("ledger", "verify", "--lab", toy_lab).code == 0
    head = gearsy("ledger", "head", "--lab", toy_lab).out.strip()
    assert head in gearsy("ledger", "verify", "--lab", toy_lab).out


def test_verify_names_the_entry_of_which_one_byte_was_changed(gearsy, toy_lab: Path, tmp_path: Path):
    copy = shutil.copytree(toy_lab, tmp_path / "lab")
    with sqlite3.connect(copy / "lab.sqlite") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        (body,) = database.execute("SELECT body FROM ledger WHERE seq = 3").fetchone()
        at = body.index('"mean":0.95')
        database.execute("UPDATE ledger SET body = ? WHERE seq = 3", (body[: at + 9] + "8" + body[at + 10 :],))
    database.close()
    broken = gearsy("ledger", "verify", "--lab", copy)
    assert broken.code == 1
    assert "entry 3 is broken" in broken.err
    assert gearsy("doctor", "--lab", copy).code == 1


def test_report_is_redrawn_from_the_lab(gearsy, toy_lab: Path):
    gearsy("run", TINY, "--system", "toy", "--lab", toy_lab)
    name = run_id(toy_lab)
    page = toy_lab / "reports" / name / "report.html"
    page.unlink()
    told = gearsy("report", name, "--lab", toy_lab)
    assert told.code == 0
    assert "directed association" in told.out
    assert page.read_text().startswith("<!doctype html>") or "<!DOCTYPE html>" in page.read_text()[:60]
    assert "know that" in page.read_text()


def test_lists(gearsy, toy_lab: Path):
    assert "reversal-curse" in gearsy("studies").out
    assert "smollm2-135m" in gearsy("systems").out
    assert "finished" in gearsy("runs", "--lab", toy_lab).out
    assert "Apache-2.0" in gearsy("models", "list").out
    doctor = gearsy("doctor", "--lab", toy_lab)
    assert doctor.code == 0
    assert "ledger whole" in doctor.out


def test_the_python_way(toy_lab: Path):
    run = g.run(str(TINY), system="toy", lab=toy_lab)
    frame = run.frame()
    assert frame.filter(frame["measure"] == "retrieval").height == 24
    assert run.theories().height == 5
    assert run.answer.endswith(".")
    assert run.report().exists()
    assert "vconcat" in json.dumps(run.plot().to_dict()) or run.plot().to_dict()["$schema"]


def test_a_theory_that_changed_after_the_answers_enters_anew_without_credit(gearsy, toy_lab: Path, tmp_path: Path):
    lab = shutil.copytree(toy_lab, tmp_path / "lab")
    study = tmp_path / "changed_study.py"
    study.write_text(
        TINY.read_text()
        + "\nfrom gearsy import Rate, Theory\n"
        + "def hindsight(condition, belief):\n"
        + "    same = condition['trained'] in (condition['asked'], 'both')\n"
        + "    return Rate(mean=0.99 if same else 0.1, sd=0.02)\n"
        + "changed = Theory(name='directed association', claim='Known all along.', gears=(hindsight,))\n"
        + "STUDY = replace(STUDY, theories=(changed, *STUDY.theories[1:]))\n"
    )
    told = gearsy("run", study, "--system", "toy", "--lab", lab, "--json")
    theories = {theory["name"]: theory for theory in json.loads(told.out)["theories"]}
    late = theories["directed association (version 2)"]
    assert late["verdict"] == "INADMISSIBLE"
    assert "registered after the answers existed" in late["because"]
    assert theories["directed association"]["verdict"] != "INADMISSIBLE"


def test_version(gearsy):
    assert gearsy("--version").out == g.__version__ + "\n"


@pytest.mark.parametrize("words", [["--nonsense"], ["run"], ["nonsense"]])
def test_wrong_words_are_one_line(gearsy, words: list[str]):
    told = gearsy(*words)
    assert told.code == 2
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_more_seeds_keep_the_credit_of_bets_that_were_sealed_first(gearsy, tiny_model: Path, tmp_path: Path):
    words = ("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path, "--json")
    gearsy(*words, "--seeds", "1")
    more = json.loads(gearsy(*words, "--seeds", "2").out)
    sealed = {r["subject"]: r["before_answers"] for r in more["registrations"]}
    assert sealed.pop("design and rules") is False  # half of its answers were in the lab
    assert sealed == {
        f"bets of {name}": True for name in ("directed association", "symmetric fact", "partial reversal")
    }


def test_a_theory_that_was_sealed_stays_in_its_round(gearsy, toy_lab: Path):
    alone = json.loads(
        gearsy("run", TINY, "--system", "toy", "--lab", toy_lab, "--theory", "symmetric fact", "--json").out
    )
    assert len(alone["theories"]) == 3


def test_the_same_model_under_another_name_is_the_same_run(gearsy, tiny_model: Path, tmp_path: Path):
    copy = shutil.copytree(tiny_model, tmp_path / "renamed")
    first = json.loads(gearsy("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path / "lab", "--json").out)
    second = json.loads(gearsy("run", TINY, "--quick", "--system", copy, "--lab", tmp_path / "lab", "--json").out)
    assert second["run_id"] == first["run_id"]
    assert second["conditions"] == first["conditions"]
    asked = [{s["name"]: s["value"] for s in told["settings"]}["asked now"] for told in (first, second)]
    failures = sum(
        c["failures"] for c in first["conditions"] if c["measure"] in ("retrieval", "exact match", "multiple choice")
    )
    assert asked == ["288", str(failures)]  # only what failed (options too long for so small a model) is asked again


def test_a_gate_that_nothing_could_meet_says_so(gearsy, tiny_model: Path, tmp_path: Path):
    only = ("--only", "trained=name→description", "--only", "asked=description→name")
    told = gearsy("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path, "--json", *only)
    assert "nothing was asked that could show that the trained direction was learnt" in json.loads(told.out)["answer"]


def test_the_report_prints_the_command_that_was_typed(gearsy, tiny_model: Path, tmp_path: Path):
    gearsy("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path, "--seeds", "1")
    page = next((tmp_path / "reports").glob("*/report.html")).read_text()
    assert "--size quick --system" in page
    assert "--seeds 1" in page
