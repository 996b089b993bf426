"""What the documents promise: links lead somewhere, examples run, code blocks are code."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gearsy as g
from gearsy.designs.plan import plan
from gearsy.studies import find_study
from gearsy.theories.contracts import check_theory

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_run_and_are_short(example: Path):
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"one way\s+\+\d+\.\d bits  SUPPORTED", done.stdout)
    assert re.search(r"both ways\s+-\d+\.\d bits  REFUTED", done.stdout)
    assert len(example.read_text().splitlines()) <= 40


def test_the_study_of_the_writing_page_bets(tmp_path: Path):
    file = tmp_path / "my_study.py"
    file.write_text(blocks(ROOT / "docs" / "writing.md", "python")[0])
    study = find_study(str(file))
    assert study.theories[-1].name == "names come easier"
    size = study.size("quick")
    design = plan(study, "quick", size, study.materials(size, np.random.default_rng(0)))
    assert check_theory(study.theories[-1], design.treated) > 10


def test_the_theory_of_the_readme_bets():
    names: dict = {}
    exec(blocks(ROOT / "README.md", "python")[1], names)  # noqa: S102 - our own page
    facts = (("n_candidates", 5.0),)
    reverse = g.Condition(levels=(("trained", "name→description"), ("asked", "description→name")), facts=facts)
    assert names["directed"].predict(reverse) == g.Rate(mean=0.2, sd=0.05)


def test_importing_gearsy_loads_nothing_heavy():
    heavy = ("torch", "transformers", "peft", "polars", "altair", "scipy", "numpy", "rich", "typer")
    code = f"import sys, gearsy; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_names_this_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    home = str(ROOT.parent) + "/"
    texts = [ROOT / name for name in tracked.stdout.split() if not name.endswith(".png") and (ROOT / name).exists()]
    assert [path.name for path in texts if home in path.read_text(encoding="utf-8")] == []
