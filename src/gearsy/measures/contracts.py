"""The contract of a measure; it returns how many checks it made."""

from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Measure
from gearsy.base.records import Condition, Failure, Reply, Request, Response, Score, Scored, Trial


def check_measure(measure: Measure) -> int:
    """Check `measure` on a right, a wrong and a broken reply; raises `ContractBroken`, returns the number of checks."""
    options = ("a red kite", "a blue kite", "a green kite")
    trial = Trial(
        question="q",
        paraphrase=0,
        condition=Condition(levels=(("f", "l"),)),
        form=measure.form,
        request=Request(prompt="It is", completions=tuple(" " + o for o in options)),
        target=options[1],
        options=options,
    )
    right: Reply = Response(text=" a blue kite")
    wrong: Reply = Response(text=" a red kite")
    if measure.form != "open":
        right, wrong = _scored(-9.0, -1.0, -8.0), _scored(-1.0, -9.0, -8.0)
    good, bad = measure.rate(trial, right), measure.rate(trial, wrong)
    if not isinstance(good, Score) or not isinstance(bad, Score):
        raise ContractBroken(f"{measure.name}: a reply that can be rated gave {good}, {bad}.")
    if not good.value > bad.value:
        raise ContractBroken(f"{measure.name}: the right reply scores {good.value}, the wrong one {bad.value}.")
    broken = measure.rate(trial, Failure(reason="timeout"))
    if not isinstance(broken, Failure) or broken.reason != "timeout":
        raise ContractBroken(f"{measure.name}: a failed reply became {broken}; it must stay that Failure.")
    if measure.rate(trial, right) != good:
        raise ContractBroken(f"{measure.name}: rates the same reply twice, differently.")
    return 5


def _scored(*values: float) -> Scored:
    return Scored(logprobs=values, n_tokens=(3,) * len(values))
