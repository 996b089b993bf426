"""Register: every theory's bet goes into the ledger, sealed, before the first answer exists."""

import math
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
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
from gearsy.theories.scoring import Entrant
from gearsy.theories.theory import predictions

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What the ledger holds of this design: every bet that was ever sealed on it, whoever asks for the run now."""

    entrants: tuple[Entrant, ...]
    claims: tuple[tuple[str, str], ...]
    entries: tuple[RegistrationInfo, ...]


def register(prepared: Prepared, lab: Lab, foreknown: int) -> Registered:
    """Append what is not there yet: the design, and a bet of each theory on each treated condition.

    A theory that bets otherwise than when it was registered enters anew (one that was only reworded does not).
    `foreknown` counts the answers to this design that the lab holds at this moment; it is sealed with each bet.
    """
    bets = {theory.name: predictions(theory, prepared.design.treated) for theory in prepared.theories}
    known = [entry for entry in lab.ledger.entries() if entry.body.get("design") == prepared.digest]
    if not any(entry.kind == "registration" for entry in known):
        lab.ledger.append("registration", _registration(prepared, foreknown))
    sealed = {_same(e) for e in known if e.kind == "prediction"}
    for theory in prepared.theories:
        body = _prediction(theory, bets[theory.name], prepared.digest, foreknown)
        if (theory.name, digest("bets", body["bets"])) not in sealed:
            lab.ledger.append("prediction", body)
    return registered(prepared, lab)


def registered(prepared: Prepared, lab: Lab) -> Registered:
    """What the ledger holds of this design. A theory that has been sealed stays in the round.

    A bet is late if answers to the design existed when it was sealed, unless the same theory had stated the same bets
    before the first question of this study was put to this M at all (in a run of another size, say).
    """
    ledger = lab.ledger.entries()
    mine = [entry for entry in ledger if entry.body.get("design") == prepared.digest]
    first_asked = _first(entry for entry in mine if entry.kind == "asking")
    ever_asked = _first(entry for entry in ledger if entry.kind == "asking" and entry.body.get("of") == _of(prepared))
    start = next(entry for entry in mine if entry.kind == "registration")
    fresh = start.body["foreknowledge"]["answers_in_lab"] == 0
    entrants, claims, infos, versions = [], {}, [_info(start, "design and rules", fresh)], Counter()
    seen: set[tuple[str, str]] = set()  # two processes may have sealed the same bet at the same moment: it is one bet
    for entry in mine:
        if entry.kind != "prediction" or _same(entry) in seen:
            continue
        seen.add(_same(entry))
        name = entry.body["theory"]
        versions[name] += 1
        knew = entry.body.get("answers_in_lab", 0) > 0 or entry.seq > first_asked
        stated_before = _first(e for e in ledger if e.kind == "prediction" and _same(e) == _same(entry)) < ever_asked
        late = knew and not stated_before
        title = name if versions[name] == 1 else f"{name} (version {versions[name]})"
        made = decode(canonical(entry.body["bets"]), tuple[Prediction, ...])
        entrants.append(Entrant(name=title, bets={bet.condition: bet for bet in made}, late=late))
        claims[title] = entry.body["claim"]
        infos.append(_info(entry, f"bets of {title}", not late))
    return Registered(entrants=tuple(entrants), claims=tuple(claims.items()), entries=tuple(infos))


def _first(entries: Iterable[Entry]) -> float:
    """The number of the first of these entries; infinite where there is none."""
    return min((entry.seq for entry in entries), default=math.inf)


def _of(prepared: Prepared) -> list[str]:
    """Which study is put to which M."""
    return [prepared.design.study.name, prepared.target]


def note(kind: Literal["tuning", "asking"], prepared: Prepared, lab: Lab) -> None:
    """Mark in the ledger that training, or asking, is about to begin. Bets that come after `asking` have no credit."""
    if not any(entry.body["design"] == prepared.digest for entry in lab.ledger.entries(kind)):
        body = {"design": prepared.digest, "of": _of(prepared), "n_trials": len(prepared.design.trials)}
        lab.ledger.append(kind, body)


def _same(entry: Entry) -> tuple[str, str]:
    """What makes two entries one bet: the theory's name, and everything that it stated."""
    return entry.body["theory"], digest("bets", entry.body["bets"])


def _info(entry: Entry, subject: str, before: bool) -> RegistrationInfo:  # noqa: FBT001 - the fact that the record holds
    return RegistrationInfo(
        entry=entry.seq,
        kind=entry.kind,
        created_at=entry.created_at,
        subject=subject,
        digest=entry.hash,
        before_answers=before,
    )


def _prediction(theory: Theory, bets: list[Prediction], design: str, foreknown: int) -> dict[str, Any]:
    return {
        "design": design,
        "answers_in_lab": foreknown,
        "theory": theory.name,
        "claim": theory.claim,
        "source": theory.source,
        "scope": getattr(theory, "scope", ""),
        "gears": list(theory.gear_names),
        "bets": plain(bets),
    }


def _registration(prepared: Prepared, foreknown: int) -> Mapping[str, Any]:
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
            "icc": prepared.rules.icc,
            "stopping": "fixed: every planned trial is asked once",
        },
        "training": {"recipe": plain(design.size.recipe), "corpora": corpora},
        "measures": {"primary": study.measures[0].name, "others": [measure.name for measure in study.measures[1:]]},
        "gates": [{"name": gate.name, "at_least": gate.at_least} for gate in study.gates],
        "rules": plain(prepared.rules),
        "baselines": [rung.name for rung in LADDER],
        "scoring": "beta-binomial push-forward of the latent rate, log score; CRPS beside it",
        "exclusions": "none; a failed trial of the primary measure in the treatment makes the run DEVIATED",
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
