"""The contract of a theory; it returns how many checks it made."""

from collections.abc import Sequence

from gearsy.base.bets import Abstain, Rate
from gearsy.base.errors import ContractBroken
from gearsy.base.protocols import Theory
from gearsy.base.records import Condition


def check_theory(theory: Theory, conditions: Sequence[Condition]) -> int:
    """Check that `theory` bets on each condition, the same way twice, each gear idled; returns how many checks."""
    if not isinstance(theory, Theory):
        raise ContractBroken(f"{theory!r} lacks name, claim, gear_names, source, predict or idle.")
    if not conditions:
        raise ContractBroken("no condition was given; a contract that checks nothing is no contract.")
    if not theory.claim.strip():
        raise ContractBroken(f"{theory.name}: claims nothing; `claim` wants one sentence.")
    if len(theory.source) != 64:
        raise ContractBroken(f"{theory.name}: source is {theory.source!r}, not a SHA-256.")
    checks = 3
    for condition in conditions:
        for version in (theory, *(theory.idle(gear) for gear in theory.gear_names)):
            bet = version.predict(condition)
            if not isinstance(bet, Rate | Abstain):
                raise ContractBroken(f"{theory.name}, on {condition.key}: predicted {bet!r}, not a Rate or Abstain.")
            if version.predict(condition) != bet:
                raise ContractBroken(f"{theory.name}, on {condition.key}: bets differently when asked twice.")
            checks += 2
    return checks
