"""Adapters, checkpoints and activations on disk: each in a folder named by the full digest of what made it.

An artifact is built in `.building/<digest>/`, which outlives a crash, and appears under its digest in one
rename. So a folder under its digest is complete, or somebody has damaged it.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gearsy.base.digests import canonical, file_digest
from gearsy.base.errors import BadRecord, GearsyError, LabBroken
from gearsy.store.responses import full_digest
from gearsy.store.space import guard_space

SUFFIXES = (".safetensors", ".json", ".parquet", ".txt", ".jinja", ".model")
PICKLED = (".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of an artifact, by its path inside the folder."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an artifact is (`kind`), what its maker noted about it, and every file in it."""

    kind: str
    about: Mapping[str, Any]
    files: tuple[StoredFile, ...]


class Artifacts:
    """The artifacts of one lab.

    with artifacts.building(digest) as working:
        folder = artifacts.find(digest)  # another process may have finished it while this one waited
        if folder is None:
            train_into(working)
            folder = artifacts.commit(digest, working, {"kind": "adapter"})
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, digest: str) -> Path | None:
        """The artifact's folder, its files all there and of the right size; None if it was never finished."""
        folder = self._place(digest)
        if not folder.exists():
            return None
        files = {file.path: file.size for file in self.manifest(digest).files}
        found = {path: (folder / path).stat().st_size for path in _paths(folder) if path != MANIFEST}
        for path in sorted(files.keys() | found.keys()):
            if files.get(path) != found.get(path):
                raise _damaged(
                    folder, f"{path} has {_size(found.get(path))}, and {_size(files.get(path))} in its manifest"
                )
        return folder

    def verify(self, digest: str) -> Path:
        """The artifact's folder, every byte of it hashed again."""
        folder = self.find(digest)
        if folder is None:
            raise GearsyError(f"no artifact {digest} in {self._folder}; run the study that makes it.")
        for file in self.manifest(digest).files:
            if file_digest(folder / file.path) != file.sha256:
                raise _damaged(folder, f"{file.path} does not have the SHA-256 in its manifest")
        return folder

    def manifest(self, digest: str) -> Manifest:
        """What the artifact's manifest says."""
        folder = self._place(digest)
        try:
            stored = json.loads((folder / MANIFEST).read_bytes())
            files = tuple(StoredFile(**file) for file in stored.pop("files"))
            return Manifest(kind=stored.pop("kind"), about=stored, files=files)
        except FileNotFoundError as error:
            if not folder.exists():
                raise GearsyError(f"no artifact {digest} in {self._folder}; run the study that makes it.") from error
            raise _damaged(folder, f"its {MANIFEST} is gone") from error
        except OSError as error:
            raise GearsyError(
                f"{folder / MANIFEST} cannot be read ({error.strerror}). Check who may read it."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _damaged(folder, f"its {MANIFEST} cannot be read ({error})") from error

    @contextmanager
    def building(self, digest: str, on_wait: Callable[[], None] | None = None) -> Iterator[Path]:
        """The one working folder of an artifact, held alone; what a crash left in it is still there.

        While another process holds it this one calls `on_wait` once and waits; look with `find` once inside.
        """
        working = self._working(digest)
        with guard_space(working):
            working.parent.mkdir(parents=True, exist_ok=True)
            lock = working.with_name(f"{digest}.lock").open("w")
        with lock:
            _acquire(lock.fileno(), on_wait)
            with guard_space(working):
                working.mkdir(exist_ok=True)
                try:
                    yield working
                finally:
                    if working.exists() and not any(working.iterdir()):
                        working.rmdir()

    def commit(self, digest: str, working: Path, manifest: Mapping[str, Any]) -> Path:
        """Turn all that is in `working` into the artifact `digest`; `manifest` names its `kind` and what else matters.

        Everything there is kept, so delete checkpoints first. On the disk when this returns.
        """
        if working != self._working(digest):
            raise BadRecord(f"{working} is not where {digest} is built; commit the folder that building() gave.")
        if not manifest.get("kind") or "files" in manifest:
            raise BadRecord(f"a manifest holds {sorted(manifest)}; give it a 'kind', and leave 'files' to gearsy.")
        place = self._place(digest)
        if place.exists():
            raise LabBroken(f"artifact {digest} is in {self._folder} already; nothing was replaced. Look with find().")
        with guard_space(working):
            content = {**manifest, "files": [_stored(working, path) for path in _paths(working) if path != MANIFEST]}
            if not content["files"]:
                raise BadRecord(f"{working} is empty; an artifact holds at least one file.")
            (working / MANIFEST).write_bytes(canonical(content))
            for path in (*working.rglob("*"), working):
                _sync(path)
            working.rename(place)
            _sync(self._folder)
        return place

    def _place(self, digest: str) -> Path:
        return self._folder / full_digest("an artifact's digest", digest)

    def _working(self, digest: str) -> Path:
        return self._folder / ".building" / full_digest("an artifact's digest", digest)


def _paths(folder: Path) -> list[str]:
    """Every file below `folder`, by its path inside; anything but plain files and folders is refused."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise BadRecord(f"{path} is a link or a device; an artifact holds plain files only.")
        if path.is_file():
            found.append(path.relative_to(folder).as_posix())
    return found


def _stored(folder: Path, path: str) -> dict[str, Any]:
    suffix = Path(path).suffix.lower()
    if suffix in PICKLED:
        raise BadRecord(
            f"{folder / path}: a {suffix} file can hold a pickle, and a pickle can run any code when it is read. "
            "Save weights as .safetensors and tables as .parquet."
        )
    if suffix not in SUFFIXES:
        raise BadRecord(
            f"{folder / path}: an artifact holds {', '.join(SUFFIXES)} only. Delete the file or convert it."
        )
    return {"path": path, "size": (folder / path).stat().st_size, "sha256": file_digest(folder / path)}


def _acquire(descriptor: int, on_wait: Callable[[], None] | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if on_wait is not None:
            on_wait()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(size: int | None) -> str:
    return "no entry" if size is None else f"{size} bytes"


def _damaged(folder: Path, what: str) -> LabBroken:
    return LabBroken(f"artifact {folder} is damaged: {what}. Delete that folder and run again to make it anew.")
