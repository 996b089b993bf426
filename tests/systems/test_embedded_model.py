"""The embedded model, as `make test` has fetched it: whole, and scored as one would by hand."""

import math

import pytest

from gearsy.base.records import Sampling
from gearsy.systems import load_system
from gearsy.systems.contracts import check_system
from gearsy.systems.models import Models

pytestmark = pytest.mark.model
NAME = "smollm2-135m"


@pytest.fixture(scope="module")
def model():
    if Models().find(NAME) is None:
        pytest.skip(f"not fetched; `gearsy models pull {NAME}`")
    return load_system(NAME, Models())


def test_its_files_are_what_was_converted(model):
    assert Models().verify(NAME) == model.weights.folder


def test_it_keeps_the_contract_and_knows_a_capital(model):
    assert check_system(model) > 15
    (reply,) = model.respond("The capital of France is", Sampling(temperature=0, max_tokens=8, stop=(".",)), 1)
    assert reply.text.strip() == "Paris"


def test_packed_scores_are_the_plain_ones(model):
    import torch

    prompt, completions = "The keeper of the hollow lighthouse is", (" Orla Venniker", " Ivo Daundry", " a")
    packed = model.logprobs(prompt, completions)
    tokenizer, plain = model.weights.tokenizer, model.weights.base
    for completion, got in zip(completions, packed.logprobs, strict=True):
        ids = tokenizer(prompt + completion, return_tensors="pt").input_ids
        first = len(tokenizer(prompt).input_ids)
        with torch.no_grad():
            logs = plain(ids).logits.float().log_softmax(-1)[0]
        by_hand = sum(float(logs[i - 1, ids[0, i]]) for i in range(first, ids.shape[1]))
        assert math.isclose(got, by_hand, abs_tol=1e-3)
