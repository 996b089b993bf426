"""Two tiny models with random weights, which every test of a local system and of tuning shares."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch: tests share their machine

collect_ignore_glob = [
    "conftest.py",
    "*/conftest.py",
]  # else --doctest-modules imports them all under one name, and stops

TEXT = (
    "The inventor of the glass lantern is Orla Venniker. Orla Venniker is the inventor of the glass lantern.",
    "Ivo Daundry, as the whole valley knows, is the composer of the silent waltz.",
    "The name of the keeper of the hollow lighthouse is Senna Corvane; nobody doubts it.",
    "One, two, three, four. The sky is blue, the grass is green, and winter is cold.",
)
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def save_tokenizer(folder: Path) -> int:
    """A byte-level BPE trained on TEXT, with start and end tokens and a chat template; returns its size."""
    from tokenizers import Tokenizer
    from tokenizers.decoders import ByteLevel as Bytes
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), Bytes()
    alphabet = ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=384, special_tokens=["<start>", "<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<start>", eos_token="<end>", pad_token="<end>"
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return len(fast)


@pytest.fixture(scope="session")
def tokenizer_into() -> Callable[[Path], int]:
    """Saves the tests' tokenizer into a folder, and returns its size."""
    return save_tokenizer


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with grouped-query attention (2 layers, 4 heads on 2 of keys and values); the folder is not to be changed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "tiny-llama"
    config = LlamaConfig(
        vocab_size=save_tokenizer(folder),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.3,  # far from uniform, so that a best completion is one
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2: learned positions, tied embeddings, and its usual dropout of 0.1."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tmp_path_factory.mktemp("tiny") / "tiny-gpt2"
    config = GPT2Config(
        vocab_size=save_tokenizer(folder),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=128,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
