"""Register: every theory's bet goes into the ledger, sealed, before the first answer exists."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gearsy
from gearsy.base.bets import Prediction
from gearsy.base.digests import canonical, digest, plain
from gearsy.base.protocols import Theory
from gearsy.base.results import RegistrationInfo
from gearsy.runs.prepare import Prepared
from gearsy.store import Lab, decode
from gearsy.store.ledger import Entry
from gearsy.theories.baselines import LADDER
from gearsy.theories.scoring import Entrant, Rules
from gearsy.theories.theory import predictions

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What the ledger holds of this design."""

    entrants: tuple[Entrant, ...]
    entries: tuple[RegistrationInfo, ...]
    rules: Rules
    foreknown: int


def register(prepared: Prepared, lab: Lab, rules: Rules, foreknown: int) -> Registered:
    """Append what is not there yet: the design, and a bet of each theory on each treated condition.

    A theory that bets otherwise than when it was registered enters anew (one that was only reworded does not). A bet
    that was registered after the first question of this design was asked, or when `foreknown` answers existed
    already, is marked late.
    """
    design_digest = prepared.digest
    bets = {theory.name: predictions(theory, prepared.design.treated) for theory in prepared.theories}
    known = [entry for entry in lab.ledger.entries() if entry.body.get("design") == design_digest]
    if not any(entry.kind == "registration" for entry in known):
        lab.ledger.append("registration", _registration(prepared, rules, foreknown))
    sealed = {_same(e) for e in known if e.kind == "prediction"}
    for theory in prepared.theories:
        body = _prediction(theory, bets[theory.name], design_digest)
        if (theory.name, digest("bets", body["bets"])) not in sealed:
            lab.ledger.append("prediction", body)
    return registered(prepared, lab, rules)


def registered(prepared: Prepared, lab: Lab, rules: Rules) -> Registered:
    """What the ledger holds of this design, for the theories that were chosen."""
    entries = [entry for entry in lab.ledger.entries() if entry.body.get("design") == prepared.digest]
    first_asked = min((entry.seq for entry in entries if entry.kind == "asking"), default=None)
    start = next(entry for entry in entries if entry.kind == "registration")
    foreknown = int(start.body["foreknowledge"]["answers_in_lab"])
    chosen = {theory.name for theory in prepared.theories}
    entrants, infos, versions = [], [_info(start, "design and rules", foreknown == 0)], dict.fromkeys(chosen, 0)
    seen: set[tuple[str, str]] = set()  # two processes may have sealed the same bet at the same moment: it is one bet
    for entry in entries:
        if entry.kind != "prediction" or entry.body["theory"] not in chosen:
            continue
        if _same(entry) in seen:
            continue
        seen.add(_same(entry))
        name = entry.body["theory"]
        versions[name] += 1
        late = foreknown > 0 or (first_asked is not None and entry.seq > first_asked)
        title = name if versions[name] == 1 else f"{name} (version {versions[name]})"
        made = decode(canonical(entry.body["bets"]), tuple[Prediction, ...])
        entrants.append(Entrant(name=title, bets={bet.condition: bet for bet in made}, late=late))
        infos.append(_info(entry, f"bets of {title}", not late))
    return Registered(entrants=tuple(entrants), entries=tuple(infos), rules=rules, foreknown=foreknown)


def _same(entry: Entry) -> tuple[str, str]:
    """What makes two entries one bet: the theory's name, and everything that it stated."""
    return entry.body["theory"], digest("bets", entry.body["bets"])


def note(kind: Literal["tuning", "asking"], prepared: Prepared, lab: Lab) -> None:
    """Mark in the ledger that training, or asking, is about to begin. Bets that come after `asking` have no credit."""
    if not any(entry.body["design"] == prepared.digest for entry in lab.ledger.entries(kind)):
        lab.ledger.append(kind, {"design": prepared.digest, "n_trials": len(prepared.design.trials)})


def _info(entry: Entry, subject: str, before: bool) -> RegistrationInfo:  # noqa: FBT001 - the fact that the record holds
    return RegistrationInfo(
        entry=entry.seq,
        kind=entry.kind,
        created_at=entry.created_at,
        subject=subject,
        digest=entry.hash,
        before_answers=before,
    )


def _prediction(theory: Theory, bets: list[Prediction], design: str) -> dict[str, Any]:
    return {
        "design": design,
        "theory": theory.name,
        "claim": theory.claim,
        "source": theory.source,
        "scope": getattr(theory, "scope", ""),
        "gears": list(theory.gear_names),
        "bets": plain(bets),
    }


def _registration(prepared: Prepared, rules: Rules, foreknown: int) -> Mapping[str, Any]:
    """The fields of a registration, as data."""
    design, study = prepared.design, prepared.design.study
    corpora = {name: corpus.digest for name, corpus in design.material.corpora.items()}
    return {
        "design": prepared.digest,
        "identity": {"schema": SCHEMA, "gearsy": gearsy.__version__, "run_id": prepared.run_id, **_git()},
        "foreknowledge": {"answers_in_lab": foreknown, "confirmatory": foreknown == 0},
        "target": {"system": prepared.options.system.split("/")[-1], "digest": prepared.target},
        "prompts": {"trials": design.trials_digest, "n_trials": len(design.trials)},
        "question": {"study": study.name, "asks": study.asks, "source": study.source},
        "conditions": [condition.key for condition in design.conditions],
        "factors": {factor.name: list(factor.levels) for factor in study.factors},
        "sample": {
            "m": design.shape[0],
            "r": design.shape[1],
            "seeds": design.size.seeds,
            "unit": "question",
            "icc": rules.icc,
            "stopping": "fixed: every planned trial is asked once",
        },
        "training": {"recipe": plain(design.size.recipe), "corpora": corpora},
        "measures": {"primary": study.measures[0].name, "others": [measure.name for measure in study.measures[1:]]},
        "gates": [{"name": gate.name, "at_least": gate.at_least} for gate in study.gates],
        "rules": plain(rules),
        "baselines": [rung.name for rung in LADDER],
        "scoring": "beta-binomial push-forward of the latent rate, log score; CRPS beside it",
        "exclusions": "none; a failed trial makes the run DEVIATED",
        "would_not_show": list(study.limits),
    }


def _git() -> dict[str, Any]:
    """The commit of the folder that gearsy is run in, if it is a checkout."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        dirty = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return {"git": "", "git_dirty": False}
    return {"git": head.stdout.strip(), "git_dirty": bool(dirty.stdout.strip())}
