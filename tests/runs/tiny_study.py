"""The reversal curse at a size that a test can wait for; run as a user's own study file."""

from dataclasses import replace

from gearsy.base.records import Recipe
from gearsy.designs import Size
from gearsy.studies.reversal_curse import STUDY as REVERSAL

STUDY = replace(
    REVERSAL,
    name="tiny",
    sizes={
        "quick": Size(
            seeds=2,
            paraphrases=2,
            control_paraphrases=1,
            recipe=Recipe(rate=2e-3, epochs=2, batch=8, rank=4),
            dials={"people": 6, "documents": 4, "candidates": 2, "background": 0},
        ),
        "toy": Size(
            seeds=1,
            paraphrases=2,
            control_paraphrases=1,
            recipe=Recipe(method="full", rate=3e-3, epochs=8, batch=32),
            dials={"people": 24, "documents": 8, "candidates": 8, "background": 24},
        ),
    },
    scratch_recipe=Recipe(method="full", rate=3e-3, epochs=10, batch=32),
)
