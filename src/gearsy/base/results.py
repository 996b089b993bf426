"""What a run ends with: everything that the report, `result.json` and a reader of either need."""

from dataclasses import dataclass, field

from gearsy.base.bets import Rate, Scorecard, Verdict
from gearsy.base.records import Condition, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureInfo:
    """How a measure is to be read: its name, what it means, whether it is a rate, and its value by chance."""

    name: str
    title: str
    is_rate: bool
    chance: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure in one condition: `estimate` is None where nothing could be rated, and then says nothing.

    `n_prompts` are the independent units, `n_samples` all that was asked. `states` counts the replies that
    were not answers; `by_seed` is the mean in each trained model.
    """

    condition: Condition
    measure: str
    n_prompts: int
    n_samples: int
    estimate: Estimate | None
    states: tuple[tuple[str, int], ...]
    by_seed: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """True against random target in one condition: paired difference of mean log-probabilities, in nats, and tests."""

    condition: Condition
    true_nats: float
    random_nats: float
    difference: Estimate
    t_p_value: float
    ks_p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """What one theory or baseline stated about one condition, as the figure draws it; None where it abstained."""

    theory: str
    condition: str
    latent: Rate | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """A check that the experiment could say anything at all."""

    name: str
    wanted: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One thing that was asked and what came back, for reading."""

    condition: str
    system: str
    form: str
    prompt: str
    target: str
    reply: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One trained model: what it learnt from, how long it took, and its loss curve as (step, loss in nats a token)."""

    name: str
    seed: int
    artifact: str
    n_documents: int
    n_tokens: int
    seconds: float
    losses: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationInfo:
    """What was sealed, when, and whether any answer existed by then."""

    entry: int
    kind: str
    created_at: str
    subject: str
    digest: str
    before_answers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run. `answer` is templated from the numbers; nobody writes it by hand."""

    study: str
    run_id: str
    size: str
    asks: str
    source: str
    systems: tuple[tuple[str, str], ...]
    factors: tuple[tuple[str, tuple[str, ...]], ...]
    measures: tuple[MeasureInfo, ...]
    primary: str
    rows: tuple[Row, ...]
    signatures: tuple[Signature, ...]
    controls: tuple[tuple[str, str], ...]
    gates: tuple[GateResult, ...]
    theories: tuple[Scorecard, ...]
    claims: tuple[tuple[str, str], ...]
    bets: tuple[Bet, ...]
    answer: str
    verdict: Verdict
    limits: tuple[str, ...]
    exchanges: tuple[Exchange, ...]
    trainings: tuple[Training, ...]
    registrations: tuple[RegistrationInfo, ...]
    ledger_head: str
    timing: tuple[tuple[str, float], ...]
    settings: tuple[tuple[str, str], ...] = field(default=())
