"""What a user reads when something is wrong: each message names what was given, what is wanted and the next step."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from cli_words import TINY

HEAD = "from dataclasses import replace\nfrom gearsy import Rate, Theory\nfrom gearsy.studies.reversal_curse import STUDY\n"


def refused(told, *parts: str) -> None:
    """The command failed with one message on stderr that holds `parts`, and printed no result."""
    assert told.code == 2
    assert told.err.splitlines()[-1].startswith("error: ")
    for part in parts:
        assert part in told.err
    assert told.out == ""


def test_unknown_names_offer_the_closest(gearsy, tmp_path: Path):
    lab = ("--lab", tmp_path / "lab")
    refused(gearsy("run", "reversal-curs", *lab), "no study named 'reversal-curs'. Did you mean 'reversal-curse'?")
    refused(
        gearsy("run", TINY, "--quick", "--system", "smollm2-135", *lab),
        "no system named 'smollm2-135'. Did you mean 'smollm2-135m'?",
    )
    refused(
        gearsy("run", TINY, "--system", "toy", "--theory", "directed", *lab),
        "no theory named 'directed'. Did you mean 'directed association'?",
    )
    refused(
        gearsy("run", TINY, "--system", "toy", "--only", "trainde=both", *lab),
        "no factor named 'trainde'. Did you mean 'trained'?",
    )
    refused(
        gearsy("run", TINY, "--system", "toy", "--only", "trained=bth", *lab),
        "no level of trained named 'bth'. Did you mean 'both'?",
    )
    refused(gearsy("run", TINY, "--size", "quik", *lab), "no size of tiny named 'quik'. Did you mean 'quick'?")
    refused(
        gearsy("run", TINY, "--system", "toy", "--method", "lra", *lab),
        "no training method named 'lra'. Did you mean 'lora'?",
    )
    refused(gearsy("run", TINY, "--system", "toy", "--seeds", "0", *lab), "--seeds is 0; train at least 1 model.")
    refused(gearsy("models", "pull", "smollm3"), "no model to fetch named 'smollm3'. Did you mean 'smollm2-135m'?")


def test_folders_that_are_no_model(gearsy, tmp_path: Path):
    lab = ("--lab", tmp_path / "lab")
    refused(
        gearsy("run", TINY, "--quick", "--system", tmp_path / "gone", *lab),
        "no folder",
        "config.json, a tokenizer and *.safetensors",
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(
        gearsy("run", TINY, "--quick", "--system", empty, *lab), "is no model: it has no config.json (it holds nothing)"
    )
    (empty / "config.json").write_text("{}")
    (empty / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    refused(
        gearsy("run", TINY, "--quick", "--system", empty, *lab),
        "pickle weights (pytorch_model.bin)",
        "run code",
        "safetensors",
    )


def test_a_damaged_model_is_one_message(gearsy, tiny_model: Path, tmp_path: Path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    refused(gearsy("run", TINY, "--quick", "--system", folder, "--lab", tmp_path / "lab"), "could not be loaded")


def official(folder: Path) -> Path:
    """The shape of the paper's folder, small."""
    folder.mkdir()
    kinds = ("p2d_prompts", "p2d_reverse_prompts", "d2p_prompts", "d2p_reverse_prompts", "both_prompts")
    for name in (*(f"{kind}_test" for kind in kinds), "p2d_prompts_train", "d2p_prompts_train", "both_prompts_train"):
        rows = [{"prompt": f"{name} {i} is", "completion": f" thing {i}"} for i in range(3)]
        folder.joinpath(f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def test_broken_materials_name_file_and_line(gearsy, tiny_model: Path, tmp_path: Path):
    folder = official(tmp_path / "official")
    broken = folder / "d2p_prompts_test.jsonl"
    broken.write_text(broken.read_text() + '\n{"prompt": "half a li')
    words = ("run", TINY, "--quick", "--system", tiny_model, "--lab", tmp_path / "lab", "--materials")
    refused(gearsy(*words, folder), "d2p_prompts_test.jsonl, line 4: not JSON")
    broken.write_text('{"prompt": "no completion"}')
    refused(gearsy(*words, folder), "d2p_prompts_test.jsonl, line 1", "'prompt' and 'completion' is wanted")
    broken.unlink()
    refused(gearsy(*words, folder), "lacks d2p_prompts_test.jsonl")
    refused(gearsy(*words, tmp_path / "none"), "no folder", "reverse_experiments")


@pytest.mark.parametrize(
    ("gear", "wording"),
    [
        ("return Rate(mean=0.5, sd=0)", "a point is refused; say how sure the theory is with sd > 0"),
        ("return Rate(mean=float('nan'), sd=0.1)", "a rate lies in [0, 1]"),
        ("return Rate(mean=1.2, sd=0.1)", "Rate(mean=1.2): a rate lies in [0, 1]"),
        ("return 0.5", "predicted 0.5; wanted is a rate with its uncertainty"),
        ("return 1 / 0", "raised ZeroDivisionError: division by zero"),
        ("return Rate(mean=condition['trianed'], sd=0.1)", "no factor named 'trianed'. Did you mean 'trained'?"),
    ],
)
def test_theories_that_cannot_bet(gearsy, tiny_model: Path, tmp_path: Path, gear: str, wording: str):
    study = tmp_path / "study.py"
    text = f"def odd(condition, belief):\n    {gear}\nODD = Theory(name='odd', claim='Odd.', gears=(odd,))\n"
    study.write_text(HEAD + text + "STUDY = replace(STUDY, theories=(ODD,))\n")
    lab = tmp_path / "lab"
    told = gearsy("run", study, "--quick", "--system", tiny_model, "--lab", lab)
    refused(told, "theory 'odd'", "on trained=name→description, asked=name→description", wording)
    assert not any((lab / "artifacts").glob("[0-9a-f]*"))  # it was refused before anything was trained


def test_study_files_that_cannot_be_used(gearsy, tmp_path: Path):
    refused(gearsy("run", tmp_path / "gone.py"), "no file", "defines STUDY")
    study = tmp_path / "study.py"
    study.write_text("import gearsy\n\nSTUDY = gearsy.Stdy\n")
    refused(gearsy("run", study), "study.py, line 3: AttributeError", "Mend the study file")
    study.write_text("STUDY = 3\n")
    refused(gearsy("run", study), "is a int; a gearsy.Study is wanted")


def test_labs_that_cannot_be_used(gearsy, tmp_path: Path):
    refused(gearsy("report", "some-run", "--lab", tmp_path / "none"), "no lab at", "--lab")
    refused(gearsy("ledger", "verify", "--lab", tmp_path / "none"), "no lab at")
    newer = tmp_path / "newer"
    gearsy("run", "gone", "--lab", newer)
    with sqlite3.connect(newer / "lab.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    refused(gearsy("runs", "--lab", newer), "99", "gearsy")
    blocked = tmp_path / "file"
    blocked.write_text("x")
    refused(gearsy("run", TINY, "--system", "toy", "--lab", blocked / "lab"), "cannot be made")


def test_an_unknown_run_offers_the_closest(gearsy, toy_lab: Path):
    name = next((toy_lab / "reports").iterdir(), None)
    wrong = f"{name.name[:-1]}?" if name else "tiny-toy"
    refused(gearsy("report", wrong, "--lab", toy_lab), f"no run named '{wrong}'")


def test_diverging_training_keeps_no_weights(gearsy, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gearsy.tuning import train

    real, calls = train._loss, []

    def exploding(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(train, "_loss", exploding)
    lab = tmp_path / "lab"
    told = gearsy("run", TINY, "--quick", "--system", tiny_model, "--lab", lab)
    refused(
        told,
        "training diverged: the loss is not a number at step 3 of",
        "No weights were kept",
        "Lower the learning rate",
    )
    assert not any((lab / "artifacts").glob("[0-9a-f]*"))
