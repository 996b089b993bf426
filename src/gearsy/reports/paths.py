"""Where the files of a report lie, and how one is written so that no reader ever sees half of it."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPaths:
    """The three files of a report."""

    html: Path
    png: Path
    json: Path

    @classmethod
    def within(cls, folder: Path) -> "ReportPaths":
        """The names are always the same, so that a link to a report stays good."""
        return cls(html=folder / "report.html", png=folder / "figure.png", json=folder / "result.json")


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`, or leave what was there: a draft beside it is moved over it when it is complete."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
