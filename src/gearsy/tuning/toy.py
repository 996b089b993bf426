"""The toy: a small decoder with a word-level vocabulary, to be trained from scratch in under two minutes."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gearsy.base.digests import digest
from gearsy.store.artifacts import Artifacts
from gearsy.systems.local import LocalSystem, quiet_transformers
from gearsy.tuning.train import full_disk_told

LAYERS, WIDTH, HEADS = 2, 128, 4
WORD = r"\w+(?:['’-]\w+)*|[^\w\s]"
SPECIAL = ("<pad>", "<unk>", "<start>", "<end>")


def toy_base(texts: Iterable[str], artifacts: Artifacts, seed: int = 0) -> LocalSystem:
    """An untrained decoder (2 layers, width 128, 4 heads) that has a token for every word and mark in `texts`."""
    tokenizer = Tokenizer(WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(Regex(WORD), behavior="removed", invert=True)
    words = sorted({word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)})
    key = digest("toy", {"words": words, "layers": LAYERS, "width": WIDTH, "heads": HEADS, "seed": seed})
    folder = artifacts.find(key)
    if folder is None:
        with artifacts.building(key) as working, full_disk_told():
            folder = artifacts.find(key) or _make(words, seed, working, artifacts, key)
    return LocalSystem.open(folder, name="toy", dtype="fp32", device="cpu")


def _make(words: list[str], seed: int, working: Path, artifacts: Artifacts, key: str) -> Path:
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(Regex(WORD), behavior="removed", invert=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<start>", eos_token="<end>"
    ).save_pretrained(working)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=256,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    quiet_transformers()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(working, safe_serialization=True)
    return artifacts.commit(key, working, {"kind": "toy", "n_words": len(words), "seed": seed})
