"""Floor 1: intervals, effects, proper scores, e-values and power; numpy and scipy only.

Callers import the module they need: `from gearsy.stats.intervals import rate_interval`.
"""
