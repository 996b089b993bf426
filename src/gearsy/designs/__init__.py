"""Floor 4: what a study is, and how it becomes trials."""

from gearsy.designs.study import Control, Gate, Material, Size, Study

__all__ = ["Control", "Gate", "Material", "Size", "Study"]
