"""Prompts with their completions as rows of tokens: laid side by side, batched, masked, and their scores summed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

MAX_TOKENS_A_PASS = 2048
MAX_LOGITS_A_PASS = 48_000_000  # numbers of the vocabulary-sized output held at once: 192 MB in fp32


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt with its completions, as tokens."""

    prefix: list[int]
    """What all completions share; empty where each begins for itself."""
    rests: list[list[int]]
    given: list[int]
    """How many of each rest's first tokens are still prompt: they are read and not scored."""

    @property
    def n_scored(self) -> tuple[int, ...]:
        """Tokens of each completion that count."""
        return tuple(len(rest) - given for rest, given in zip(self.rests, self.given, strict=True))

    @property
    def width(self) -> int:
        """Tokens that are fed after the prompt."""
        return sum(len(rest) - 1 for rest in self.rests)

    @property
    def longest(self) -> int:
        """Positions of the longest completion with its prompt."""
        return len(self.prefix) + max(map(len, self.rests))


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the common start of two token lists.

    >>> common([5, 6, 7], [5, 6, 8, 9])
    2
    """
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def passes(rows: Sequence[Row], vocabulary: int) -> Iterator[list[int]]:
    """Indices of rows that go through the model together: of like length, within the limits of memory."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].prefix), rows[i].width, i))
    batch: list[int] = []
    left = right = 0
    for i in order:
        wider = max(left, len(rows[i].prefix)), max(right, rows[i].width)
        size = len(batch) + 1
        too_many = size * sum(wider) > MAX_TOKENS_A_PASS or size * (wider[1] + 1) * vocabulary > MAX_LOGITS_A_PASS
        if batch and too_many:
            yield batch
            batch, wider = [], (len(rows[i].prefix), rows[i].width)
        batch.append(i)
        left, right = wider
    if batch:
        yield batch


def pack(rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions and groups [B, P] of `rows`: prompts end at one column (group 0), completions follow (1, 2, …)."""
    left = max(1, *(len(row.prefix) for row in rows))  # one column at least: sums are read from the prompt's last on
    tokens = torch.zeros(len(rows), left + max(row.width for row in rows), dtype=torch.long)
    positions, groups = torch.zeros_like(tokens), torch.full_like(tokens, -1)
    for b, row in enumerate(rows):
        begin = left - len(row.prefix)
        tokens[b, begin:left] = torch.tensor(row.prefix, dtype=torch.long)
        positions[b, begin:left] = torch.arange(len(row.prefix))
        groups[b, begin:left] = 0
        at = left
        for g, rest in enumerate(row.rests, start=1):
            fed = len(rest) - 1  # the last token is predicted, never fed
            tokens[b, at : at + fed] = torch.tensor(rest[:-1], dtype=torch.long)
            positions[b, at : at + fed] = len(row.prefix) + torch.arange(fed)
            groups[b, at : at + fed] = g
            at += fed
    return tokens, positions, groups


def packed_mask(groups: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask [B, 1, P, P]: a token sees the prompt (group 0) and its own completion, up to itself."""
    width = groups.shape[1]
    query, key = groups[:, :, None], groups[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    sees = causal & (key >= 0) & ((key == 0) | (key == query))
    # The lowest finite number and not -inf: a padded row that sees nothing must not become NaN.
    return torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[:, None]


def probe_rows(row: Row) -> list[Row]:
    """Two short rows of unequal length made of `row`'s tokens, on which a model's packed scoring is tried."""
    tokens = [*row.prefix, *(token for rest in row.rests for token in rest)]
    t = (tokens * 12)[:12]
    return [Row(t[:5], [t[5:8], t[8:12]], [0, 0]), Row(t[2:5], [t[8:12], t[5:7]], [0, 0])]


def row_sums(logits: torch.Tensor, row: Row) -> tuple[float, ...]:
    """Summed log-probability of each completion from `logits` [1 + fed, V]; entry 0 is the prompt's last position."""
    at, where, wanted = 1, [], []
    for rest, given in zip(row.rests, row.given, strict=True):
        where += [0, *range(at, at + len(rest) - 1)][given:]
        wanted += rest[given:]
        at += len(rest) - 1
    normal = torch.logsumexp(logits[:at], dim=-1)
    index = torch.tensor(where, device=logits.device)
    values = logits[index, torch.tensor(wanted, device=logits.device)] - normal[index]
    parts = torch.split(values.double().cpu(), list(row.n_scored))
    return tuple(min(float(part.sum()), 0.0) for part in parts)
