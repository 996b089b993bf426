"""How many replies were not answers, and why: counted once here, for the frames, the page and `result.json`."""

from gearsy.base.records import STATES
from gearsy.base.results import Row

_NAMED = {"refused": "refusals", "failed": "failures"}
COUNTED: tuple[str, ...] = (*(_NAMED.get(state, state) for state in STATES if state != "ok"), "other")
"""refusals, empty, truncated, unparsed, failures, and `other` for a state that no response has."""


def all_states(row: Row) -> dict[str, int]:
    """The same replies under the names that the run gave them, a name that comes twice summed."""
    counts: dict[str, int] = {}
    for state, n in row.states:
        counts[state] = counts.get(state, 0) + n
    return counts


def counted_states(row: Row) -> dict[str, int]:
    """One count for each of `COUNTED`; `ok` is not among them."""
    counts = dict.fromkeys(COUNTED, 0)
    for state, n in row.states:
        if state != "ok":
            name = _NAMED.get(state, state)
            counts[name if name in counts else "other"] += n
    return counts
