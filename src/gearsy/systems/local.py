"""The local system: a causal language model from a folder, asked in batches.

Scoring packs a prompt and all of its completions into one row: every completion sees the prompt and itself,
none sees another, so the prompt is computed once whatever the number of completions, in one forward pass.
"""

import itertools
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads can make two slower than one; before torch

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging as transformers_logging

from gearsy.base.digests import digest, file_digest
from gearsy.base.errors import BadModel, Unsupported, unknown
from gearsy.base.records import (
    Failure,
    Message,
    Prompt,
    Reply,
    Request,
    Response,
    Sampling,
    Scored,
    State,
    Usage,
)
from gearsy.systems.drawing import Drawer
from gearsy.systems.packing import Row, common, pack, packed_mask, passes, probe_rows, row_sums

MAX_ANSWERS_A_PASS = 48
READ = (".safetensors", ".json", ".jinja", ".model", ".spm", ".tiktoken")
READ_BY_NAME = ("merges.txt", "vocab.txt")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
PACKING_TOLERANCE = {"fp32": 1e-2, "bf16": 0.5}  # nats that a packed sum may differ from a plain one
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def check_model_folder(folder: Path) -> None:
    """Raise `BadModel` unless `folder` holds a causal LM that can be loaded without running foreign code."""
    if not folder.is_dir():
        raise BadModel(f"{folder} is no folder; give one that holds config.json, a tokenizer and *.safetensors.")
    if not (folder / "config.json").exists():
        found = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
        raise BadModel(
            f"{folder} is no model: it has no config.json (it holds {found}). Give a Hugging Face model folder."
        )
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(p.name for pattern in PICKLED for p in folder.glob(pattern))
        if pickled:
            raise BadModel(
                f"{folder} holds only pickle weights ({pickled[0]}), which run code when they are loaded; they are refused. "
                "Convert them to safetensors first: load them where you trust them and save_pretrained(...)."
            )
        raise BadModel(f"{folder} has no weights: *.safetensors is wanted.")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise BadModel(f"{folder} has no tokenizer: tokenizer.json is wanted.")


@dataclass(kw_only=True)
class Weights:
    """A base model in memory, loaded at first use and shared by its adapters."""

    folder: Path
    dtype: Literal["fp32", "bf16"]
    device: str
    adapters: dict[str, str] = field(default_factory=dict)
    """Attached adapters: folder -> the name that peft knows it by."""
    wrapped: Any = None
    """peft's wrapper round `base`, once there is an adapter."""
    packs: bool | None = None
    """Whether packed scoring equals plain scoring for this model; None until it was tried."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file that could change an answer, by name."""
        kept = sorted(p for p in self.folder.iterdir() if p.suffix in READ or p.name in READ_BY_NAME)
        return {p.name: file_digest(p) for p in kept if p.name not in ("gearsy-model.json", "manifest.json")}

    @cached_property
    def tokenizer(self) -> Any:
        try:
            return AutoTokenizer.from_pretrained(self.folder)
        except Exception as error:  # tokenizers raises the bare class
            reason = f"{type(error).__name__}: {_first_line(error)}"
            raise BadModel(f"{self.folder} has a tokenizer that could not be loaded: {reason}") from error

    @property
    def ends(self) -> set[int]:
        """Tokens that end an answer: the tokenizer's, and those of generation_config.json."""
        configured = self.base.generation_config.eos_token_id
        ends = configured if isinstance(configured, list) else [configured]
        return {end for end in (self.tokenizer.eos_token_id, *ends) if end is not None}

    @cached_property
    def base(self) -> Any:
        quiet_transformers()
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                self.folder, dtype=DTYPES[self.dtype], use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise BadModel(
                f"{self.folder} could not be loaded as a causal language model: {_first_line(error)}"
            ) from error
        return model.to(self.device).eval().requires_grad_(False)  # noqa: FBT003 - torch's signature

    def using(self, adapter: Path | None) -> Any:
        """The model with exactly `adapter` active, or the bare base; without dropout."""
        if adapter is None:
            if self.wrapped is not None:
                self.wrapped.base_model.disable_adapter_layers()
            return self.base.eval()
        if str(adapter) not in self.adapters:
            name = f"adapter{next(self.numbers)}"
            with _peft_quiet():
                if self.wrapped is None:
                    self.wrapped = PeftModel.from_pretrained(self.base, str(adapter), adapter_name=name)
                else:
                    self.wrapped.load_adapter(str(adapter), adapter_name=name)
            self.adapters[str(adapter)] = name
        return self._switched(self.adapters[str(adapter)]).eval()

    def learning(self, config: PeftConfig) -> tuple[Any, str]:
        """The model with a fresh adapter, ready to be trained, and the adapter's name; `attach` it once it is kept.

        It is in eval mode: dropout draws from torch's global generator, and the same arguments must train the same.
        """
        name = f"adapter{next(self.numbers)}"
        with _peft_quiet():
            if self.wrapped is None:
                self.wrapped = PeftModel(self.base, config, adapter_name=name)
            else:
                self.wrapped.add_adapter(name, config)
        return self._switched(name).eval(), name

    def attach(self, adapter: Path, name: str) -> None:
        """Remember that the adapter kept in folder `adapter` is in memory already, as `name`."""
        self.adapters[str(adapter)] = name

    def _switched(self, name: str) -> Any:
        self.wrapped.base_model.enable_adapter_layers()
        self.wrapped.set_adapter(name)
        return self.wrapped


@dataclass(frozen=True, kw_only=True)
class LocalSystem:
    """A causal language model in a folder, with an adapter or bare: respond, logprobs, and both in batches.

    A prompt that is a string is continued as it stands; one that is made of messages goes through the model's
    chat template. The digest covers the weights' bytes, tokenizer, adapter, dtype and kind of device.
    """

    name: str
    weights: Weights
    adapter: Path | None = None

    @classmethod
    def open(cls, folder: Path, *, name: str = "", dtype: str = "auto", device: str = "auto") -> "LocalSystem":
        """The model in `folder`; dtype `auto` is bf16 on a GPU that has it and fp32 elsewhere. Loads no weights yet."""
        check_model_folder(folder)
        if device not in ("auto", "cpu", "cuda"):
            raise unknown("device", device, ("auto", "cpu", "cuda"))
        if device == "cuda" and not torch.cuda.is_available():
            raise Unsupported("device is 'cuda', and torch sees no GPU here; use --device cpu.")
        if dtype not in ("auto", *DTYPES):
            raise unknown("dtype", dtype, ("auto", *DTYPES))
        where = device if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        if dtype == "auto":
            dtype = "bf16" if where == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
        return cls(
            name=name or folder.name,
            weights=Weights(folder=folder, dtype="bf16" if dtype == "bf16" else "fp32", device=where),
        )

    @property
    def digest(self) -> str:
        return self._digest

    @cached_property
    def _digest(self) -> str:
        adapter = {p.name: file_digest(p) for p in sorted(self.adapter.glob("adapter_*"))} if self.adapter else {}
        kind = {"dtype": self.weights.dtype, "device": self.weights.device.split(":")[0]}
        return digest("system", {"kind": "local", "files": self.weights.files, "adapter": adapter, **kind})

    def describe(self) -> str:
        """The choices that were made: dtype and device."""
        return f"{self.weights.dtype} on {self.weights.device}"

    def with_adapter(self, adapter: Path, name: str) -> "LocalSystem":
        """M′: these weights, shared in memory, with a peft adapter on top."""
        return LocalSystem(name=name, weights=self.weights, adapter=adapter)

    def release(self) -> None:
        """Give back the memory of the weights, unless an adapter shares them; they load again when they are needed."""
        if self.weights.wrapped is None:
            self.weights.__dict__.pop("base", None)

    def respond(self, prompt: Prompt, sampling: Sampling, n: int) -> list[Response | Failure]:
        if n < 1:
            raise Unsupported(f"n is {n}; ask for at least 1 answer.")
        replies = self._generate([Request(prompt=prompt, sampling=sampling)] * n, range(n))
        return [reply for reply in replies if not isinstance(reply, Scored)]

    def logprobs(self, prompt: Prompt, completions: Sequence[str]) -> Scored | Failure:
        if not completions:
            raise Unsupported("there is nothing to score; give at least one completion.")
        reply = self._score([Request(prompt=prompt, completions=tuple(completions))])[0]
        return reply if isinstance(reply, Scored | Failure) else Failure(reason="not scored", detail=reply.text)

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies: dict[int, Reply] = {}
        for scoring in (True, False):
            chosen = [i for i, request in enumerate(requests) if bool(request.completions) is scoring]
            asked = [requests[i] for i in chosen]
            answered = self._score(asked) if scoring else self._generate(asked, [0] * len(asked))
            replies.update(zip(chosen, answered, strict=True))
        return [replies[i] for i in range(len(requests))]

    # Text to tokens

    def _text(self, prompt: Prompt) -> tuple[str, bool]:
        """The prompt as text, and whether the tokenizer is still to add its special tokens."""
        if isinstance(prompt, str):
            return prompt, True
        tokenizer = self.weights.tokenizer
        if not tokenizer.chat_template:
            raise Unsupported(f"{self.name} has no chat template; give the prompt as plain text.")
        return tokenizer.apply_chat_template(_turns(prompt), tokenize=False, add_generation_prompt=True), False

    def _encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        return self.weights.tokenizer(list(texts), add_special_tokens=special)["input_ids"]

    def _start(self, cannot: str) -> int:
        """The start token; `cannot` says what is not to be had without one."""
        if self.weights.tokenizer.bos_token_id is None:
            raise Unsupported(f"{self.name} has no start token, so {cannot}.")
        return self.weights.tokenizer.bos_token_id

    def _split(self, request: Request) -> Row:
        """Prompt and completions as tokens; each is cut where its joint encoding first differs from the prompt's own."""
        text, special = self._text(request.prompt)
        alone, *wholes = self._encode([text, *(text + c for c in request.completions)], special=special)
        if not all(wholes):
            raise Unsupported(
                f"{self.name} reads no token in one of {list(request.completions)}; give another completion."
            )
        cuts = [min(common(alone, whole), len(whole) - 1) for whole in wholes]
        if 0 in cuts:  # nothing is left to predict the first token from
            kind = "a prompt that merges whole into its completion" if alone else "an empty prompt"
            start = self._start(f"{kind} cannot be scored; give a {'longer ' if alone else ''}prompt")
            wholes = [whole if cut else [start, *whole] for cut, whole in zip(cuts, wholes, strict=True)]
            cuts = [cut or 1 for cut in cuts]
        shared = min(*cuts, *(common(wholes[0], whole) for whole in wholes))
        return Row(wholes[0][:shared], [whole[shared:] for whole in wholes], [cut - shared for cut in cuts])

    # Scoring

    def _score(self, requests: Sequence[Request]) -> list[Reply]:
        rows = [self._split(request) for request in requests]
        replies: list[Reply] = [Failure(reason="not asked")] * len(rows)
        limit = getattr(self.weights.base.config, "max_position_embeddings", None) or 1 << 30
        for i, row in enumerate(rows):
            if row.longest > limit:
                detail = f"{row.longest} tokens; {self.name} reads at most {limit}."
                replies[i] = Failure(reason="prompt too long", detail=detail)
        fitting = [i for i, row in enumerate(rows) if row.longest <= limit]
        vocabulary = self.weights.base.config.vocab_size
        packing = bool(fitting) and self._packs(rows[fitting[0]], max(rows[i].longest for i in fitting))
        batches = passes([rows[i] for i in fitting], vocabulary) if packing else ([j] for j in range(len(fitting)))
        for chosen in batches:
            started = time.perf_counter()
            those = [rows[fitting[j]] for j in chosen]
            sums = self._score_pass(those) if packing else [self._score_plain(row) for row in those]
            share = (time.perf_counter() - started) / len(chosen)
            for j, values in zip(chosen, sums, strict=True):
                row = rows[fitting[j]]
                usage = Usage(prompt_tokens=len(row.prefix), completion_tokens=sum(row.n_scored))
                replies[fitting[j]] = Scored(
                    logprobs=values, n_tokens=row.n_scored, usage=usage, latency_s=round(share, 6)
                )
        return replies

    def _packs(self, row: Row, longest: int) -> bool:
        """Whether packed rows give what plain passes give: tried once on a model, on a probe of `row`'s tokens.

        A packed mask overrides a sliding window, so rows that outgrow the window go plainly.
        """
        if self.weights.packs is None:
            probes = probe_rows(row)
            try:
                packed = self._score_pass(probes)
            except (ValueError, RuntimeError, TypeError, IndexError):  # no 4-D mask, no positions, no attention at all
                packed = [(math.inf,) * len(probe.rests) for probe in probes]
            plain = [self._score_plain(probe) for probe in probes]
            gaps = [
                abs(a - b) for one, other in zip(packed, plain, strict=True) for a, b in zip(one, other, strict=True)
            ]
            self.weights.packs = max(gaps) <= PACKING_TOLERANCE[self.weights.dtype]
        window = getattr(self.weights.base.config, "sliding_window", None) or 1 << 30
        return self.weights.packs and longest <= window

    @torch.inference_mode()
    def _score_plain(self, row: Row) -> tuple[float, ...]:
        """The same sums by one ordinary pass a completion: slower, and right for every model."""
        model, sums = self.weights.using(self.adapter), []
        for rest, given in zip(row.rests, row.given, strict=True):
            ids = torch.tensor([[*row.prefix, *rest]], device=self.weights.device)
            logs = model(input_ids=ids).logits[0].float().log_softmax(-1)
            first = len(row.prefix) + given
            values = logs[torch.arange(first - 1, ids.shape[1] - 1), ids[0, first:]]
            sums.append(min(float(values.double().sum()), 0.0))
        return tuple(sums)

    @torch.inference_mode()
    def _score_pass(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        tokens, positions, groups = pack(rows)
        device, model = self.weights.device, self.weights.using(self.adapter)
        mask = packed_mask(groups, DTYPES[self.weights.dtype]).to(device)
        logits = model(
            input_ids=tokens.to(device),
            attention_mask=mask,
            position_ids=positions.to(device),
            use_cache=False,
            logits_to_keep=max(row.width for row in rows) + 1,
        ).logits
        return [row_sums(logits[b].float(), row) for b, row in enumerate(rows)]

    # Generating

    def _generate(self, requests: Sequence[Request], indices: Sequence[int]) -> list[Reply]:
        """One answer to each request; its index tells it from other answers to the same prompt and seed."""
        prompts = [
            self._encode([text], special=special)[0] for text, special in (self._text(r.prompt) for r in requests)
        ]
        limit = getattr(self.weights.base.config, "max_position_embeddings", None) or 1 << 30
        replies: list[Reply] = []
        for ids, request in zip(prompts, requests, strict=True):
            long = len(ids) + request.sampling.max_tokens > limit
            detail = f"{len(ids)} tokens and {request.sampling.max_tokens} to come; {self.name} reads at most {limit}."
            replies.append(Failure(reason="prompt too long", detail=detail) if long else Failure(reason="not asked"))
        fitting = [i for i, reply in enumerate(replies) if isinstance(reply, Failure) and reply.reason == "not asked"]
        order = sorted(fitting, key=lambda i: len(prompts[i]))
        tokenizer, ends = self.weights.tokenizer, self.weights.ends
        for start in range(0, len(order), MAX_ANSWERS_A_PASS):
            chosen = order[start : start + MAX_ANSWERS_A_PASS]
            begun = time.perf_counter()
            drawers = [Drawer(requests[i].sampling, requests[i].prompt, tokenizer, ends, indices[i]) for i in chosen]
            fed = [prompts[i] or [self._start("it cannot continue an empty prompt; give a prompt")] for i in chosen]
            drawn = self._generate_pass(fed, drawers)
            share = round((time.perf_counter() - begun) / len(chosen), 6)
            for i, (text, state, n_tokens) in zip(chosen, drawn, strict=True):
                usage = Usage(prompt_tokens=len(prompts[i]), completion_tokens=n_tokens)
                replies[i] = Response(text=text, state=state, usage=usage, latency_s=share)
        return replies

    @torch.inference_mode()
    def _generate_pass(self, prompts: Sequence[list[int]], drawers: Sequence[Drawer]) -> list[tuple[str, State, int]]:
        device, model = self.weights.device, self.weights.using(self.adapter)
        left = max(map(len, prompts))
        fed = torch.tensor([[0] * (left - len(p)) + p for p in prompts], device=device)
        mask = torch.tensor([[0] * (left - len(p)) + [1] * len(p) for p in prompts], device=device)
        cache = DynamicCache(config=model.config)
        for _ in range(max(drawer.sampling.max_tokens for drawer in drawers)):
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -fed.shape[1] :]
            logits = (
                model(
                    input_ids=fed, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1
                )
                .logits[:, -1]
                .float()
            )
            chosen = [drawer.take(row) for drawer, row in zip(drawers, logits, strict=True)]
            if all(drawer.done for drawer in drawers):
                break
            fed = torch.tensor(chosen, device=device)[:, None]
            mask = torch.cat([mask, torch.ones_like(fed)], dim=1)
        return [drawer.result() for drawer in drawers]


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.text} for message in messages]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "it gives no reason").splitlines()[0]


@contextmanager
def _peft_quiet() -> Iterator[None]:
    """Nothing to a user: a name that transformers 5.23 deprecated, and a setting that peft 0.21 mends by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to", UserWarning)
        yield


def quiet_transformers() -> None:
    """No progress bars and no advice from transformers: gearsy tells of its own progress."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def save_dequantised(gguf: Path, folder: Path) -> None:
    """Save a GGUF file's model and tokenizer as an ordinary fp32 folder, with the same logits."""
    quiet_transformers()
    where: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    # The loader leaves its quantisation record behind, and save_pretrained then refuses: build it anew without.
    config = model.config
    if getattr(config, "quantization_config", None) is not None:
        del config.quantization_config
    config._name_or_path = gguf.stem
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
