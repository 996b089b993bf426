"""Floor 4: what bets. A theory may not import systems, the store or measures: it cannot ask its subject."""

from gearsy.theories.theory import Theory

__all__ = ["Theory"]
