"""From a name to a system. torch is imported only when a local model is really wanted."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gearsy.base.errors import BadModel, unknown
from gearsy.systems.models import CATALOGUE, Models

if TYPE_CHECKING:
    from gearsy.systems.local import LocalSystem

TOY = "toy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """One line of `gearsy systems`."""

    name: str
    what: str
    ready: str


def describe_systems(models: Models) -> list[SystemInfo]:
    """Every name that `load_system` knows by itself, and whether it can be used at once."""
    rows = [
        SystemInfo(name=entry.name, what=entry.what, ready="ready" if models.find(entry.name) else "not yet fetched")
        for entry in CATALOGUE
    ]
    rows.append(SystemInfo(name=TOY, what="a 2-layer decoder trained from scratch on the study's words", ready="ready"))
    rows.append(SystemInfo(name="./FOLDER", what="any Hugging Face causal LM with safetensors weights", ready="local"))
    rows.append(SystemInfo(name="hf:ORG/NAME", what="a model of the Hugging Face hub, fetched once", ready="network"))
    return rows


def model_folder(name: str, models: Models) -> Path:
    """The folder that holds the weights of `name`; fetches a catalogued or hub model that is not there yet."""
    if name in {entry.name for entry in CATALOGUE}:
        return models.find(name) or models.pull(name)
    if name == TOY:
        raise BadModel("the toy is made by a study's run, on its words: `gearsy run STUDY --system toy`.")
    if name.startswith("hf:"):
        return models.hub(name.removeprefix("hf:"))
    looks_like_path = "/" in name or name.startswith((".", "~")) or Path(name).exists()
    if not looks_like_path:
        raise unknown("system", name, [*(entry.name for entry in CATALOGUE), TOY, "./FOLDER", "hf:ORG/NAME"])
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise BadModel(f"no folder {name}; give a folder that holds config.json, a tokenizer and *.safetensors.")
    return folder


def load_system(name: str, models: Models, dtype: str = "auto", device: str = "auto") -> "LocalSystem":
    """The local system called `name`: a catalogued model, `hf:ORG/NAME`, or a folder. Weights load at first use."""
    folder = model_folder(name, models)
    from gearsy.systems.local import LocalSystem  # torch: only now

    return LocalSystem.open(folder, name=name, dtype=dtype, device=device)
