"""One hand-built specimen of every record of `gearsy.base`, with the values that are hard to store."""

import math

from gearsy.base import bets, records, results
from gearsy.base.bets import Abstain, Cell, Finding, GearWorth, Prediction, Rate, Scorecard, Verdict
from gearsy.base.records import Condition, Document, Estimate, Message, Request, Response, Sampling, Usage
from gearsy.base.results import Bet, Exchange, GateResult, MeasureInfo, RegistrationInfo, Row, RunResult, Signature

CONDITION = Condition(
    levels=(("trained", "A is B"), ("asked", "reverse")),
    facts=(("n_candidates", 12), ("share", 0.1)),
    control="shuffled",
)
TREATMENT = Condition(levels=(("trained", "both"),))
ESTIMATE = Estimate(
    value=0.1 + 0.2, low=-math.inf, high=math.nextafter(0.3, 1) + 1e-9, n=24, method="Wilson", level=0.9
)
REQUEST = Request(
    prompt=(Message(role="system", text="Be brief."), Message(role="user", text="Who is 'Ada'?\n\x00é\U0001f3b5")),
    completions=(" Lovelace", " Byron"),
    sampling=Sampling(temperature=0.7, max_tokens=1, stop=("\n",), seed=2**70),
)
VERDICT = Verdict(name="REFUTED", because="lost 12.5 bits to the pooled mean.")
SCORECARD = Scorecard(
    theory="directed association",
    bits=-12.500000000000002,
    crps=0.031,
    log_e=-math.inf,
    against="pooled mean",
    bits_over=(("ignorance", 3.0), ("pooled mean", -12.5)),
    bits_by_condition=((TREATMENT.key, 1 / 3), (CONDITION.key, -12.833333333333334)),
    gears=(GearWorth(name="storage", bits_lost=0.1), GearWorth(name="guessing", bits_lost=-0.0)),
    abstained=1,
    power=0.83,
    verdict=VERDICT,
)
RUN_RESULT = RunResult(
    study="reversal-curse",
    run_id="reversal-curse-quick-1f",
    size="quick",
    asks="Does a model trained on 'A is B' know that 'B is A'?",
    source="Berglund et al. 2023, arXiv:2309.12288",
    systems=(("M", "a" * 64), ("M′", "b" * 64)),
    factors=(("trained", ("A is B", "both")), ("asked", ("forward", "reverse"))),
    measures=(
        MeasureInfo(name="exact", title="Exact match", is_rate=True, chance=0.0, unit=""),
        MeasureInfo(name="logprob", title="Log-probability", is_rate=False, chance=None, unit="nats"),
    ),
    primary="exact",
    rows=(
        Row(
            condition=CONDITION,
            measure="exact",
            n_prompts=24,
            n_samples=48,
            estimate=ESTIMATE,
            states=(("refused", 2), ("empty", 1)),
            by_seed=((0, 0.25), (1, 2 / 3)),
        ),
        Row(condition=TREATMENT, measure="exact", n_prompts=0, n_samples=0, estimate=None, states=()),
    ),
    signatures=(
        Signature(
            condition=TREATMENT,
            true_nats=-3.3333333333333335,
            random_nats=-5e-324,
            difference=ESTIMATE,
            t_p_value=1e-300,
            ks_p_value=1.0,
        ),
    ),
    controls=(("shuffled", "names and facts paired at random"),),
    gates=(GateResult(name="learnt", wanted="> 0.8", found="0.95", passed=True),),
    theories=(SCORECARD,),
    claims=(("directed association", "A fact is stored as cue → target."),),
    bets=(
        Bet(theory="rate", condition="c", latent=Rate(mean=0.95, sd=0.05), low=0.85, high=1.0),
        Bet(theory="quiet", condition="c", latent=None, low=None, high=None),
    ),
    answer="No: 0.02 against 0.95.",
    verdict=VERDICT,
    limits=("One model family.",),
    exchanges=(Exchange(condition="c", system="M", form="open", prompt="p", target="t", reply="\ud800", state="ok"),),
    trainings=(
        results.Training(
            name="both/0",
            seed=0,
            artifact="c" * 64,
            n_documents=3,
            n_tokens=90,
            seconds=1.5,
            losses=((0, 3.25), (1, math.nextafter(1, 2))),
        ),
    ),
    registrations=(
        RegistrationInfo(
            entry=1, kind="registration", created_at="2026-01-01", subject="s", digest="d" * 64, before_answers=True
        ),
    ),
    ledger_head="e" * 64,
    timing=(("ask", 0.1),),
    settings=(("dtype", "float32"),),
)
SPECIMENS = (
    RUN_RESULT,
    SCORECARD,
    CONDITION,
    REQUEST,
    records.Factor(name="asked", levels=("forward", "reverse")),
    records.Question(id="q", paraphrases=("Who?",), target="Ada", choices=("Ada", "Bob"), context="Ada did."),
    records.Trial(
        question="q",
        paraphrase=0,
        condition=CONDITION,
        form="choice",
        request=Request(prompt="Who?"),
        target="Ada",
        options=("Bob", "Ada"),
        seed=1,
        sample=3,
    ),
    records.Corpus(name="people", documents=(Document(prompt="", completion="Ada.", source="f1"),)),
    records.Recipe(method="full", loss_on="completion", rate=3e-5),
    Response(text="\ud800 half a pair", state="refused", usage=Usage(prompt_tokens=3), latency_s=math.inf),
    records.Scored(logprobs=(-math.inf, -0.1, -0.0), n_tokens=(1, 2, 1)),
    records.Failure(reason="timeout", detail="after 30 s"),
    records.Score(value=1e22, state="truncated"),
    Prediction(
        theory="t",
        condition="c",
        latent=Abstain(why="out of scope"),
        gearless=(("storage", Rate(mean=0.5, sd=0.1)), ("guessing", Abstain(why="no gear left"))),
    ),
    bets.Categories(alpha=(("yes", 1.5), ("no", 1))),
    bets.Quantiles(levels=(0.1, 0.9), values=(-1e-9, 2.0)),
    bets.Draws(values=tuple(n / 7 for n in range(20))),
    Cell(condition=CONDITION, successes=3, m=2, r=2),
    Finding(
        estimand="forward - reverse",
        effect=0.9,
        low=0.8,
        high=math.inf,
        n=24,
        moderators=(("model", "SmolLM2"),),
        source="run 1f",
        registered=True,
    ),
)
