"""What a model folder must hold, how a broken one is refused, and what its digest covers."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from gearsy.base.errors import BadModel, GearsyError, UnknownName, Unsupported
from gearsy.systems.local import LocalSystem, check_model_folder

Copy = Callable[[str], Path]


def refused(folder: Path, wording: str) -> None:
    with pytest.raises(BadModel) as caught:
        check_model_folder(folder)
    assert str(caught.value) == wording


def test_a_good_folder_is_accepted(tiny_model: Path, tiny_gpt2: Path):
    check_model_folder(tiny_model)
    check_model_folder(tiny_gpt2)
    assert LocalSystem.open(tiny_model).name == "tiny-llama"


def test_no_folder(tmp_path: Path):
    refused(
        tmp_path / "none",
        f"{tmp_path}/none is no folder; give one that holds config.json, a tokenizer and *.safetensors.",
    )


def test_no_config(tmp_path: Path):
    refused(
        tmp_path,
        f"{tmp_path} is no model: it has no config.json (it holds nothing). Give a Hugging Face model folder.",
    )
    (tmp_path / "notes.txt").touch()
    (tmp_path / "a.gguf").touch()
    refused(
        tmp_path,
        f"{tmp_path} is no model: it has no config.json (it holds a.gguf, notes.txt). Give a Hugging Face model folder.",
    )


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "weights.pkl", "last.ckpt"])
def test_pickled_weights(copied: Copy, name: str):
    folder = copied("pickled")
    (folder / "model.safetensors").rename(folder / name)
    refused(
        folder,
        f"{folder} holds only pickle weights ({name}), which run code when they are loaded; they are refused. "
        "Convert them to safetensors first: load them where you trust them and save_pretrained(...).",
    )


def test_no_weights_and_no_tokenizer(copied: Copy):
    folder = copied("bare")
    (folder / "tokenizer.json").unlink()
    refused(folder, f"{folder} has no tokenizer: tokenizer.json is wanted.")
    (folder / "model.safetensors").unlink()
    refused(folder, f"{folder} has no weights: *.safetensors is wanted.")


def test_unknown_dtype_and_device(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UnknownName, match=r"^no dtype named 'fp16'. Did you mean 'bf16'\? Known: auto, bf16, fp32.$"):
        LocalSystem.open(tiny_model, dtype="fp16")
    with pytest.raises(UnknownName, match=r"^no device named 'cuba'. Did you mean 'cuda'\? Known: auto, cpu, cuda.$"):
        LocalSystem.open(tiny_model, device="cuba")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unsupported, match="^device is 'cuda', and torch sees no GPU here; use --device cpu.$"):
        LocalSystem.open(tiny_model, device="cuda")
    assert LocalSystem.open(tiny_model).describe() == "fp32 on cpu"


def spoil_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])


def spoil_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def unknown_kind(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))


def no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def wrong_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))


def no_language_model(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))


def foreign_code(folder: Path) -> None:
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForCausalLM": "mine.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("raise SystemExit('foreign code was run')")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_weights,
        spoil_header,
        empty_weights,
        unknown_kind,
        no_json,
        wrong_shapes,
        no_language_model,
        foreign_code,
    ],
)
def test_a_broken_folder_is_told_and_not_traced(copied: Copy, spoil: Callable[[Path], None]):
    folder = copied("broken")
    spoil(folder)
    system = LocalSystem.open(folder, dtype="fp32", device="cpu")
    wording = f"^{re.escape(str(folder))} could not be loaded as a causal language model: .{{10}}"
    with pytest.raises(BadModel, match=wording):
        _ = system.weights.base


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"version": "1.0"}',
    ],
)
def test_a_broken_tokenizer_is_told_and_not_traced(copied: Copy, content: str):
    folder = copied("mute")
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(GearsyError, match="tokenizer"):
        LocalSystem.open(folder, dtype="fp32", device="cpu").logprobs("The", [" sky"])


def digest_of(folder: Path, dtype: str = "fp32") -> str:
    return LocalSystem.open(folder, dtype=dtype, device="cpu").digest


def test_the_digest_is_of_the_content_and_not_of_the_place(tiny_model: Path, copied: Copy):
    assert digest_of(copied("elsewhere")) == digest_of(tiny_model)
    named = LocalSystem.open(tiny_model, name="another", dtype="fp32", device="cpu")
    assert named.digest == digest_of(tiny_model)
    assert digest_of(tiny_model, "bf16") != digest_of(tiny_model)


@pytest.mark.parametrize("name", ["gearsy-model.json", "manifest.json", "README.md"])
def test_gearsy_s_own_notes_do_not_change_the_digest(tiny_model: Path, copied: Copy, name: str):
    folder = copied("noted")
    (folder / name).write_text("{}")
    assert digest_of(folder) == digest_of(tiny_model)


def test_the_digest_changes_with_weights_template_and_tokenizer(tiny_model: Path, copied: Copy):
    seen = {digest_of(tiny_model)}
    folder = copied("weights")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] += 1e-6
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    seen.add(digest_of(folder))
    for name in ("chat_template.jinja", "tokenizer_config.json", "tokenizer.json", "config.json"):
        folder = copied(name.replace(".", "-"))
        path = folder / name
        path.write_text(path.read_text() + " ")
        seen.add(digest_of(folder))
    assert len(seen) == 6


@pytest.mark.parametrize("name", ["merges.txt", "tokenizer.model", "vocab.txt"])
def test_the_digest_changes_with_a_slow_tokenizer_s_files(copied: Copy, name: str):
    folder = copied("slow")
    (folder / name).write_text("a b\n")
    before = digest_of(folder)
    (folder / name).write_text("b a\n")
    assert digest_of(folder) != before


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_digest_changes_with_the_adapter(tiny_model: Path, tmp_path: Path):
    base = LocalSystem.open(tiny_model, dtype="fp32", device="cpu")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=2, target_modules="all-linear")
    )
    model.save_pretrained(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    config = json.loads((tmp_path / "two" / "adapter_config.json").read_text())
    (tmp_path / "two" / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 99}))
    one, moved, two = (base.with_adapter(tmp_path / name, "M′").digest for name in ("one", "moved", "two"))
    assert one == moved
    assert len({base.digest, one, two}) == 3


def test_release_frees_a_bare_base_and_loads_it_again(tiny_model: Path):
    system = LocalSystem.open(tiny_model, dtype="fp32", device="cpu")
    before = system.logprobs("The sky is", [" blue"])
    system.release()
    assert "base" not in system.weights.__dict__
    after = system.logprobs("The sky is", [" blue"])
    assert after.logprobs == before.logprobs
