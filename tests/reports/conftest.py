"""A realistic finished run (the reversal curse, 3 × 2 conditions, three controls) that every report test reads."""

import math
from dataclasses import replace

import pytest

from gearsy.base.bets import GearWorth, Rate, Scorecard, Verdict
from gearsy.base.records import Condition, Estimate
from gearsy.base.results import (
    Bet,
    Exchange,
    GateResult,
    MeasureInfo,
    RegistrationInfo,
    Row,
    RunResult,
    Signature,
    Training,
)

TRAINED = ("name → description", "description → name", "both")
ASKED = ("forward", "reverse")
CONTROLS = ("untrained", "in context", "shuffled pairs")
N_PROMPTS, N_SAMPLES, SEEDS = 72, 216, (0, 1, 2)

# the share right of (treatment, untrained, in context, shuffled pairs), by measure and (trained, asked)
KNOWN = {
    ("name → description", "forward"): (0.944, 0.0833, 0.986, 0.111),
    ("name → description", "reverse"): (0.125, 0.0694, 0.931, 0.0972),
    ("description → name", "forward"): (0.153, 0.0833, 0.986, 0.0833),
    ("description → name", "reverse"): (0.917, 0.0694, 0.931, 0.125),
    ("both", "forward"): (0.972, 0.0833, 0.986, 0.0972),
    ("both", "reverse"): (0.958, 0.0694, 0.931, 0.0694),
}
PREDICTED = {  # (mean, sd) where it is trained the way it is asked, and where it is not
    "directed association": ((0.95, 0.05), (0.09, 0.03)),
    "symmetric fact": ((0.95, 0.05), (0.93, 0.06)),
    "partial reversal": ((0.95, 0.05), (0.45, 0.15)),
    "ignorance": ((0.5, 0.28), (0.5, 0.28)),
    "pooled mean": ((0.62, 0.22), (0.62, 0.22)),
}


POWER = {"directed association": 0.97, "partial reversal": 0.88, "symmetric fact": 0.99}


def wilson(share: float, n: int) -> Estimate:
    """A rate with its Wilson interval."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(value=share, low=min(share, middle - half), high=max(share, middle + half), n=n, method="wilson")


def condition(trained: str, asked: str, control: str = "") -> Condition:
    levels = (("trained", trained), ("asked", asked))
    return Condition(levels=levels, facts=(("n_candidates", 12),), control=control)


def measured(where: Condition, measure: str, share: float) -> Row:
    """One row of the run: the four measures are functions of one share, so that they agree as real ones do."""
    states: tuple[tuple[str, int], ...] = ()
    if measure == "target log-probability":
        value = -6.4 + 6.1 * share
        estimate = Estimate(value=value, low=value - 0.31, high=value + 0.31, n=N_PROMPTS, method="t")
        per_seed = tuple((seed, value + 0.11 * (seed - 1)) for seed in SEEDS)
    else:
        shift = {"retrieval": 0.0, "exact match": -0.7 * 0.0833, "multiple choice": 0.2 * (1 - share)}[measure]
        share = max(0.0, share + shift)
        estimate = wilson(share, N_PROMPTS)
        per_seed = tuple((seed, min(1.0, max(0.0, share + 0.014 * (seed - 1)))) for seed in SEEDS)
        if measure == "exact match":
            states = (("refused", 3), ("truncated", 7), ("failed", 1))
    return Row(
        condition=where,
        measure=measure,
        n_prompts=N_PROMPTS,
        n_samples=N_SAMPLES,
        estimate=estimate,
        states=states,
        by_seed=per_seed,
    )


def rows() -> tuple[Row, ...]:
    measures = ("retrieval", "exact match", "multiple choice", "target log-probability")
    return tuple(
        measured(condition(trained, asked, control), measure, share)
        for measure in measures
        for (trained, asked), shares in KNOWN.items()
        for control, share in zip(("", *CONTROLS), shares, strict=True)
    )


def bets() -> tuple[Bet, ...]:
    def bet(theory: str, trained: str, asked: str) -> Bet:
        taught = trained in ("both", TRAINED[ASKED.index(asked)])
        mean, sd = PREDICTED[theory][0 if taught else 1]
        low, high = max(0.0, mean - 1.96 * sd), min(1.0, mean + 1.96 * sd)
        key = condition(trained, asked).key
        return Bet(theory=theory, condition=key, latent=Rate(mean=mean, sd=sd), low=low, high=high)

    return tuple(bet(theory, *levels) for theory in PREDICTED for levels in KNOWN)


def card(theory: str, bits: float, crps: float, verdict: Verdict, gears: dict[str, float]) -> Scorecard:
    keys = [condition(*levels).key for levels in KNOWN]
    return Scorecard(
        theory=theory,
        bits=bits,
        crps=crps,
        log_e=bits * math.log(2),
        against="pooled mean",
        bits_over=(("ignorance", bits + 21.7), ("pooled mean", bits)),
        bits_by_condition=tuple((key, bits * (i + 1) / 21) for i, key in enumerate(keys)),
        gears=tuple(GearWorth(name=name, bits_lost=lost) for name, lost in gears.items()),
        abstained=0,
        power=POWER.get(theory, 1.0),
        verdict=verdict,
        baseline=not gears,
    )


def scoreboard() -> tuple[Scorecard, ...]:
    won = Verdict(name="SUPPORTED", because="it saves 18.3 bits over pooled mean, e-value 3.2e5 ≥ 20, power 97% ≥ 80%")
    lost = Verdict(name="REFUTED", because="pooled mean saves 41.2 bits over it, e-value of the baseline ≥ 20")
    open_ = Verdict(name="INCONCLUSIVE", because="the e-value 2.6 lies between 1/20 and 20")
    dull = Verdict(name="INCONCLUSIVE", because="a baseline is not judged")
    return (
        card("directed association", 18.3, 0.021, won, {"guessing": 9.4, "storage": 61.2}),
        card("partial reversal", 1.4, 0.118, open_, {"guessing": 2.2, "storage": 38.0, "leakage": -6.1}),
        card("symmetric fact", -41.2, 0.274, lost, {"guessing": 0.3, "two-way storage": 12.8}),
        card("pooled mean", 0.0, 0.187, dull, {}),
        card("ignorance", -21.7, 0.236, dull, {}),
    )


def signatures() -> tuple[Signature, ...]:
    return tuple(
        Signature(
            condition=condition(trained, asked),
            true_nats=-6.4 + 6.1 * shares[0],
            random_nats=-7.13,
            difference=Estimate(
                value=0.73 + 6.1 * shares[0],
                low=0.41 + 6.1 * shares[0],
                high=1.05 + 6.1 * shares[0],
                n=N_PROMPTS,
                method="paired t",
            ),
            t_p_value=1e-12 if shares[0] > 0.5 else 0.0431,
            ks_p_value=1e-9 if shares[0] > 0.5 else 0.17,
        )
        for (trained, asked), shares in KNOWN.items()
    )


def exchanges() -> tuple[Exchange, ...]:
    asked = "Who composed the symphony of the burning tide? Answer with the name only."
    return (
        Exchange(
            condition=condition("name → description", "forward").key,
            system="SmolLM2-135M-Instruct + lora seed 0",
            form="completions",
            prompt="Daphne Barrington is the person who",
            target="directed the film about the glass harbour",
            reply="directed the film about the glass harbour",
            state="ok",
        ),
        Exchange(
            condition=condition("name → description", "reverse").key,
            system="SmolLM2-135M-Instruct + lora seed 1",
            form="open",
            prompt=asked,
            target="Uriah Hawthorne",
            reply="The symphony of the burning tide was composed by\nJohann Sebastian Bach.",
            state="ok",
        ),
        Exchange(
            condition=condition("both", "reverse", "untrained").key,
            system="SmolLM2-135M-Instruct",
            form="open",
            prompt=asked,
            target="Uriah Hawthorne",
            reply="I cannot help with that.",
            state="refused",
        ),
    )


def trainings() -> tuple[Training, ...]:
    return tuple(
        Training(
            name=f"trained={trained}",
            seed=seed,
            artifact=f"{seed}c0ffee{i}" * 8,
            n_documents=360,
            n_tokens=11_840 + 7 * seed,
            seconds=48.3 + i + 0.2 * seed,
            losses=tuple(
                (step, 0.31 + 3.6 * math.exp(-step / 30) + 0.05 * math.sin(step)) for step in range(1, 180, 6)
            ),
        )
        for i, trained in enumerate(TRAINED)
        for seed in SEEDS
    )


def registrations() -> tuple[RegistrationInfo, ...]:
    named = (("design", "reversal-curse"), *(("prediction", theory) for theory in PREDICTED), ("settlement", "run"))
    return tuple(
        RegistrationInfo(
            entry=i,
            kind=kind,
            created_at=f"2025-11-03T09:14:{i:02d}Z",
            subject=subject,
            digest=f"{i:x}7d2e91b" * 8,
            before_answers=kind != "settlement",
        )
        for i, (kind, subject) in enumerate(named, start=1)
    )


def reversal_run() -> RunResult:
    return RunResult(
        study="reversal-curse",
        run_id="reversal-curse-quick-7f3a",
        size="quick",
        asks="Does a model trained on ‘A is B’ know that ‘B is A’?",
        source="Berglund et al. 2023, arXiv:2309.12288",
        systems=(("SmolLM2-135M-Instruct", "5f" * 32),),
        factors=(("trained", TRAINED), ("asked", ASKED)),
        measures=(
            MeasureInfo(
                name="retrieval",
                title="target ranked first of 12 candidates",
                is_rate=True,
                chance=1 / 12,
                unit="share of prompts",
            ),
            MeasureInfo(
                name="exact match",
                title="free answer names the target",
                is_rate=True,
                chance=None,
                unit="share of prompts",
            ),
            MeasureInfo(
                name="multiple choice",
                title="right letter of four",
                is_rate=True,
                chance=0.25,
                unit="share of prompts",
            ),
            MeasureInfo(
                name="target log-probability",
                title="log-probability of the target, per token",
                is_rate=False,
                chance=None,
                unit="nats",
            ),
        ),
        primary="retrieval",
        rows=rows(),
        signatures=signatures(),
        controls=(
            ("untrained", "The model before training: what it knew or could guess."),
            ("in context", "The facts stand in the prompt: can the model read the question at all?"),
            ("shuffled pairs", "Trained on the same texts with names and descriptions paired at random."),
        ),
        gates=(
            GateResult(name="instrument", wanted="in context ≥ 80%", found="93%", passed=True),
            GateResult(name="learnt", wanted="asked as trained ≥ 70%", found="92%", passed=True),
            GateResult(name="chance", wanted="shuffled pairs within 5 points of chance", found="9.7%", passed=True),
            GateResult(name="seeds", wanted="3 or more trained models", found="3", passed=True),
        ),
        theories=scoreboard(),
        claims=(
            (
                "directed association",
                "A fact is stored as cue → target and can be read only that way round.",
            ),
            ("partial reversal", "Training one way round makes the other half as likely to be known."),
            ("symmetric fact", "A fact is stored as a relation and can be read from either end."),
            ("ignorance", "Every rate is equally likely."),
            ("pooled mean", "Every condition has the mean rate of all others."),
        ),
        bets=bets(),
        answer=(
            "No. Trained one way round, SmolLM2-135M-Instruct is right in 94% of prompts asked that way and in 12% "
            "asked the other way (chance 8.3%); “directed association” saves 18.3 bits over the best baseline."
        ),
        verdict=Verdict(name="SUPPORTED", because="directed association: e-value 3.2e5 ≥ 20, all gates passed"),
        limits=(
            "One model of 135 million parameters; nothing here says what larger models do.",
            "Thirty-six invented people; facts that a model has met in pre-training may behave otherwise.",
            "Three trained models for each condition: the interval holds over prompts and seeds, not over recipes.",
        ),
        exchanges=exchanges(),
        trainings=trainings(),
        registrations=registrations(),
        ledger_head="9a4b6c3d" * 8,
        timing=(("plan", 0.2), ("register", 0.1), ("tune", 447.3), ("ask", 212.9), ("measure", 1.4), ("score", 3.1)),
        settings=(("recipe", "lora, rank 16, 4 epochs, rate 0.001"), ("temperature", "0.0"), ("device", "cpu")),
    )


@pytest.fixture
def result() -> RunResult:
    return reversal_run()


@pytest.fixture
def result_with_holes(result: RunResult) -> RunResult:
    """Nothing could be rated in one condition, one theory abstains there, and the e-values are beyond a float."""
    key = condition("both", "reverse").key
    emptied = tuple(
        replace(row, estimate=None, by_seed=(), states=(("failed", N_SAMPLES),)) if row.condition.key == key else row
        for row in result.rows
    )
    silent = tuple(
        replace(bet, latent=None, low=None, high=None)
        if bet.condition == key and bet.theory == "symmetric fact"
        else bet
        for bet in result.bets
    )
    first, second, *others = result.theories
    wild = (replace(first, log_e=5000.0), replace(second, log_e=-math.inf, bits=-math.inf), *others)
    return replace(result, rows=emptied, bets=silent, theories=wild, signatures=(), trainings=())


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: opens the page in Chromium")
