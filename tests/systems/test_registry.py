"""From a name to a system, and how a name that leads nowhere is told."""

import json
from pathlib import Path

import pytest

from gearsy.base.errors import BadModel, BadRecord, GearsyError, UnknownName
from gearsy.systems import describe_systems, load_system, machine
from gearsy.systems.machine import Threads, choose_threads
from gearsy.systems.models import Models, cache_folder
from gearsy.systems.registry import model_folder


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(cache=tmp_path / "cache")


def test_an_unknown_name_is_told_with_the_closest(models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName) as caught:
        load_system("smollm2-135", models)
    told = (
        "no system named 'smollm2-135'. Did you mean 'smollm2-135m'? Known: ./FOLDER, hf:ORG/NAME, smollm2-135m, toy."
    )
    assert str(caught.value) == told
    with pytest.raises(
        UnknownName, match=r"^no system named 'gpt-5'. Known: ./FOLDER, hf:ORG/NAME, smollm2-135m, toy.$"
    ):
        load_system("gpt-5", models)


@pytest.mark.parametrize("name", ["./none", "models/none", "~/no/such/model"])
def test_a_folder_that_is_not_there_is_told(models: Models, name: str):
    with pytest.raises(BadModel) as caught:
        load_system(name, models)
    assert (
        str(caught.value) == f"no folder {name}; give a folder that holds config.json, a tokenizer and *.safetensors."
    )


def test_a_file_is_no_folder(models: Models, tmp_path: Path):
    (tmp_path / "model.gguf").touch()
    with pytest.raises(BadModel, match="^no folder .*model.gguf; give a folder that holds config.json"):
        load_system(str(tmp_path / "model.gguf"), models)


def test_a_folder_is_loaded_under_the_name_it_was_given(models: Models, tiny_model: Path):
    system = load_system(str(tiny_model), models, dtype="fp32", device="cpu")
    assert system.name == str(tiny_model)
    assert system.weights.folder == tiny_model
    assert "base" not in system.weights.__dict__  # weights load at first use


def test_the_toy_s_name_is_not_unknown(models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GearsyError) as caught:
        load_system("toy", models)
    assert str(caught.value) == "the toy is made by a study's run, on its words: `gearsy run STUDY --system toy`."


def test_a_fetched_model_is_found_and_not_fetched_again(
    models: Models, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Models, "pull", lambda *given: pytest.fail("it was fetched again"))
    folder = models.cache / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    (folder / "gearsy-model.json").write_text("{}")
    assert model_folder("smollm2-135m", models) == folder


def test_what_there_is_and_whether_it_is_ready(models: Models):
    rows = {row.name: row for row in describe_systems(models)}
    assert rows["smollm2-135m"].ready == "not yet fetched"
    assert rows["toy"].ready == "ready"
    assert rows["./FOLDER"].ready == "local"
    assert rows["hf:ORG/NAME"].ready == "network"
    folder = models.cache / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    assert describe_systems(models)[0].ready == "not yet fetched"  # a folder counts once its manifest is written
    (folder / "gearsy-model.json").write_text("{}")
    assert describe_systems(models)[0].ready == "ready"


def test_the_hub_is_told_of_when_it_cannot_be_reached(models: Models, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def unreachable(repo: str, **given: object) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(BadModel) as caught:
        model_folder("hf:org/name", models)
    assert str(caught.value) == (
        "hf:org/name could not be fetched (LocalEntryNotFoundError), and no copy is cached. Check the network, "
        "or give a local folder; `smollm2-135m` needs no hub."
    )


def test_a_malformed_hub_name_is_told(models: Models):
    with pytest.raises(BadModel, match="hub"):
        model_folder("hf:one/two/three", models)


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("GEARSY_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("GEARSY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "gearsy"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gearsy"


# Threads


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was measured, in turn: 1 thread, then 2, …"""
    made: list[int] = []

    def measure() -> Threads:
        made.append(len(made) + 1)
        return Threads(count=made[-1], why=f"measured: turn {made[-1]}")

    monkeypatch.delenv("GEARSY_THREADS", raising=False)
    monkeypatch.setattr(machine, "_measure", measure)
    return made


def test_the_user_s_choice_of_threads_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: list[int]):
    monkeypatch.setenv("GEARSY_THREADS", "3")
    assert choose_threads(tmp_path) == Threads(count=3, why="set by GEARSY_THREADS")
    assert measured == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", " "])
def test_threads_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv("GEARSY_THREADS", given)
    with pytest.raises(BadRecord) as caught:
        choose_threads(tmp_path)
    assert str(caught.value) == f"GEARSY_THREADS is {given!r}; it must be a whole number of 1 or more."


def test_a_digit_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GEARSY_THREADS", "²")
    with pytest.raises(BadRecord, match="GEARSY_THREADS"):
        choose_threads(tmp_path)


def test_what_was_measured_is_kept(tmp_path: Path, measured: list[int]):
    first = choose_threads(tmp_path / "cache")
    assert choose_threads(tmp_path / "cache") == first == Threads(count=1, why="measured: turn 1")
    assert measured == [1]
    assert choose_threads(tmp_path / "cache", measure_again=True).count == 2
    assert choose_threads(tmp_path / "cache").count == 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["threads.json"]


def test_another_machine_is_measured_anew(tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch):
    choose_threads(tmp_path)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 96)
    assert choose_threads(tmp_path).count == 2
    assert "96 cores" in json.loads((tmp_path / "threads.json").read_text())["machine"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"count": 2}',
    ],
)
def test_a_broken_note_is_measured_anew(tmp_path: Path, measured: list[int], content: str):
    (tmp_path / "threads.json").write_text(content)
    assert choose_threads(tmp_path).count == 1
