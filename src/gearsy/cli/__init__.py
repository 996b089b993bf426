"""Floor 7: the command line, one command a verb. Results go to stdout, progress and errors to stderr."""

from gearsy.cli.main import main

__all__ = ["main"]
