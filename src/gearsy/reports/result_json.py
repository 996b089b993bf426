"""`result.json`: the public, documented form of a run (docs/result-json.md). Its names do not change in version 1."""

import math
import sys
from typing import Any

from gearsy.base.bets import Scorecard
from gearsy.base.records import Condition, Estimate
from gearsy.base.results import Row, RunResult
from gearsy.reports.states import all_states, counted_states

SCHEMA_VERSION = 1


def to_public_json(result: RunResult) -> dict[str, Any]:
    """Everything in the run as plain JSON values: no infinity, no NaN, and null where there is no number."""
    return {
        "schema_version": SCHEMA_VERSION,
        "study": result.study,
        "run_id": result.run_id,
        "size": result.size,
        "question": result.asks,
        "source": result.source,
        "answer": result.answer,
        "verdict": {"name": result.verdict.name, "because": result.verdict.because},
        "systems": [{"name": name, "digest": digest} for name, digest in result.systems],
        "factors": [{"name": name, "levels": list(levels)} for name, levels in result.factors],
        "measures": [
            {
                "name": measure.name,
                "title": measure.title,
                "is_rate": measure.is_rate,
                "chance": finite(measure.chance),
                "unit": measure.unit,
            }
            for measure in result.measures
        ],
        "primary": result.primary,
        "controls": [{"name": name, "meaning": meaning} for name, meaning in result.controls],
        "conditions": [_condition(row) for row in result.rows],
        "theories": [_entrant(card, result) for card in result.theories if not card.baseline],
        "baselines": [_entrant(card, result) for card in result.theories if card.baseline],
        "signatures": _signatures(result),
        "gates": [
            {"name": gate.name, "wanted": gate.wanted, "found": gate.found, "passed": gate.passed}
            for gate in result.gates
        ],
        "limits": list(result.limits),
        "exchanges": _exchanges(result),
        "trainings": _trainings(result),
        "registrations": _registrations(result),
        "ledger_head": result.ledger_head,
        "timing": [{"stage": stage, "seconds": finite(seconds)} for stage, seconds in result.timing],
        "settings": [{"name": name, "value": value} for name, value in result.settings],
    }


def finite(value: float | None) -> float | None:
    """The number, or None where it is infinite or not a number, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def capped_e_value(log_e: float) -> float | None:
    """exp(log_e), at most the largest float; None where it is not a number.

    >>> capped_e_value(0.0), capped_e_value(9999.0) == sys.float_info.max, capped_e_value(-9999.0)
    (1.0, True, 0.0)
    """
    if math.isnan(log_e):
        return None
    return math.exp(log_e) if log_e < math.log(sys.float_info.max) else sys.float_info.max


def _estimate(estimate: Estimate | None) -> dict[str, Any]:
    return {
        "estimate": finite(estimate.value) if estimate else None,
        "low": finite(estimate.low) if estimate else None,
        "high": finite(estimate.high) if estimate else None,
        "level": estimate.level if estimate else None,
        "method": estimate.method if estimate else None,
    }


def _where(condition: Condition) -> dict[str, Any]:
    return {"key": condition.key, "factors": dict(condition.levels), "control": condition.control}


def _condition(row: Row) -> dict[str, Any]:
    counts = counted_states(row)
    return {
        **_where(row.condition),
        "facts": {name: finite(value) for name, value in row.condition.facts},
        "measure": row.measure,
        "n_prompts": row.n_prompts,
        "n_samples": row.n_samples,
        **_estimate(row.estimate),
        "failures": counts["failures"],
        "refusals": counts["refusals"],
        "states": all_states(row),
        "by_seed": [{"seed": seed, "mean": finite(mean)} for seed, mean in row.by_seed],
    }


def _entrant(card: Scorecard, result: RunResult) -> dict[str, Any]:
    return {
        "name": card.theory,
        "claim": dict(result.claims).get(card.theory, ""),
        "bits": finite(card.bits),
        "crps": finite(card.crps),
        "e_value": capped_e_value(card.log_e),
        "log_e": finite(card.log_e),
        "verdict": card.verdict.name,
        "because": card.verdict.because,
        "against": card.against,
        "power": finite(card.power),
        "abstained": card.abstained,
        "gears": [{"name": gear.name, "bits_lost": finite(gear.bits_lost)} for gear in card.gears],
        "bits_over": [{"baseline": name, "bits": finite(bits)} for name, bits in card.bits_over],
        "bits_by_condition": [{"condition": key, "bits": finite(bits)} for key, bits in card.bits_by_condition],
        "bets": [
            {
                "condition": bet.condition,
                "mean": bet.latent.mean if bet.latent else None,
                "sd": bet.latent.sd if bet.latent else None,
                "low": finite(bet.low),
                "high": finite(bet.high),
            }
            for bet in result.bets
            if bet.theory == card.theory
        ],
    }


def _signatures(result: RunResult) -> list[dict[str, Any]]:
    return [
        {
            **_where(signature.condition),
            "true_nats": finite(signature.true_nats),
            "random_nats": finite(signature.random_nats),
            "difference": {**_estimate(signature.difference), "n": signature.difference.n},
            "t_p_value": finite(signature.t_p_value),
            "ks_p_value": finite(signature.ks_p_value),
        }
        for signature in result.signatures
    ]


def _exchanges(result: RunResult) -> list[dict[str, Any]]:
    return [
        {
            "condition": exchange.condition,
            "system": exchange.system,
            "form": exchange.form,
            "prompt": exchange.prompt,
            "target": exchange.target,
            "reply": exchange.reply,
            "state": exchange.state,
        }
        for exchange in result.exchanges
    ]


def _trainings(result: RunResult) -> list[dict[str, Any]]:
    return [
        {
            "name": training.name,
            "seed": training.seed,
            "artifact": training.artifact,
            "n_documents": training.n_documents,
            "n_tokens": training.n_tokens,
            "seconds": finite(training.seconds),
            "losses": [{"step": step, "nats_per_token": finite(loss)} for step, loss in training.losses],
        }
        for training in result.trainings
    ]


def _registrations(result: RunResult) -> list[dict[str, Any]]:
    return [
        {
            "entry": entry.entry,
            "kind": entry.kind,
            "created_at": entry.created_at,
            "subject": entry.subject,
            "digest": entry.digest,
            "before_answers": entry.before_answers,
        }
        for entry in result.registrations
    ]
