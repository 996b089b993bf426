"""Where the tiny study of the command-line tests is."""

from pathlib import Path

TINY = Path(__file__).parents[1] / "runs" / "tiny_study.py"
