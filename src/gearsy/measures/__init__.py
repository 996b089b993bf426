"""Floor 3: what turns a reply into a number."""

from gearsy.measures.behaviour import ExactMatch, MultipleChoice, Retrieval, TargetLogProb

__all__ = ["ExactMatch", "MultipleChoice", "Retrieval", "TargetLogProb"]
