"""Artifacts: whole or not there, and never a pickle."""

import errno
import json
import os
from pathlib import Path

import pytest

from gearsy.base.digests import digest, file_digest
from gearsy.base.errors import BadRecord, GearsyError, LabBroken, NoSpace
from gearsy.store import Artifacts, Lab, Manifest, StoredFile

DIGEST = digest("test", "adapter")
ABOUT = {"kind": "adapter", "recipe": {"rank": 16}, "base": "b" * 64}


@pytest.fixture
def artifacts(lab: Lab) -> Artifacts:
    return lab.artifacts


def build(artifacts: Artifacts, digest: str = DIGEST) -> Path:
    with artifacts.building(digest) as working:
        (working / "adapter.safetensors").write_bytes(b"weights")
        (working / "tokenizer").mkdir()
        (working / "tokenizer" / "vocab.json").write_text("{}")
        return artifacts.commit(digest, working, ABOUT)


def test_a_committed_artifact_is_found_whole(artifacts: Artifacts) -> None:
    assert artifacts.find(DIGEST) is None
    folder = build(artifacts)
    assert artifacts.find(DIGEST) == artifacts.verify(DIGEST) == folder
    assert folder.name == DIGEST
    assert (folder / "adapter.safetensors").read_bytes() == b"weights"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()].count(".building") == 1
    assert list((folder.parent / ".building").glob("*/")) == []


def test_the_manifest_tells_the_kind_and_every_file(artifacts: Artifacts) -> None:
    folder = build(artifacts)
    assert artifacts.manifest(DIGEST) == Manifest(
        kind="adapter",
        about={"recipe": {"rank": 16}, "base": "b" * 64},
        files=(
            StoredFile(path="adapter.safetensors", size=7, sha256=file_digest(folder / "adapter.safetensors")),
            StoredFile(path="tokenizer/vocab.json", size=2, sha256=file_digest(folder / "tokenizer" / "vocab.json")),
        ),
    )


def test_what_a_crash_left_is_still_there_and_nothing_is_finished(artifacts: Artifacts) -> None:
    def crash() -> None:
        with artifacts.building(DIGEST) as working:
            (working / "step-10.safetensors").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert artifacts.find(DIGEST) is None
    with artifacts.building(DIGEST) as working:
        assert (working / "step-10.safetensors").read_bytes() == b"half"


def test_a_manifest_left_by_a_crash_is_written_anew(artifacts: Artifacts) -> None:
    with artifacts.building(DIGEST) as working:
        (working / "manifest.json").write_text('{"half')
    build(artifacts)
    assert [file.path for file in artifacts.manifest(DIGEST).files] == ["adapter.safetensors", "tokenizer/vocab.json"]


def test_looking_without_building_leaves_no_folder(artifacts: Artifacts) -> None:
    folder = build(artifacts)
    with artifacts.building(DIGEST) as working:
        assert artifacts.find(DIGEST) == folder
    assert not working.exists()


@pytest.mark.parametrize("name", ["model.bin", "optimizer.pt", "state.pkl", "weights.PTH", "array.npy"])
def test_anything_like_a_pickle_is_refused(artifacts: Artifacts, name: str) -> None:
    with artifacts.building(DIGEST) as working:
        (working / name).write_bytes(b"x")
        with pytest.raises(
            BadRecord, match=f"{name}: a .* file can hold a pickle, and a pickle can run any code"
        ) as caught:
            artifacts.commit(DIGEST, working, ABOUT)
    assert "Save weights as .safetensors" in str(caught.value)
    assert artifacts.find(DIGEST) is None


@pytest.mark.parametrize("name", ["README.md", "run.py", "LICENSE", ".gitattributes"])
def test_other_kinds_of_file_are_refused(artifacts: Artifacts, name: str) -> None:
    with artifacts.building(DIGEST) as working:
        (working / name).write_bytes(b"x")
        with pytest.raises(BadRecord, match=f"{name}: an artifact holds .safetensors, .json, .* only. Delete the file"):
            artifacts.commit(DIGEST, working, ABOUT)


def test_a_link_is_refused(artifacts: Artifacts) -> None:
    with artifacts.building(DIGEST) as working:
        (working / "weights.safetensors").symlink_to("/etc/hostname")
        with pytest.raises(BadRecord, match="weights.safetensors is a link or a device"):
            artifacts.commit(DIGEST, working, ABOUT)


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".parquet", ".txt", ".jinja", ".model"])
def test_the_kinds_of_file_that_cannot_run_are_kept(artifacts: Artifacts, suffix: str) -> None:
    with artifacts.building(DIGEST) as working:
        (working / f"file{suffix}").write_bytes(b"x")
        folder = artifacts.commit(DIGEST, working, ABOUT)
    assert (folder / f"file{suffix}").read_bytes() == b"x"


def test_an_empty_artifact_is_refused(artifacts: Artifacts) -> None:
    with (
        artifacts.building(DIGEST) as working,
        pytest.raises(BadRecord, match="is empty; an artifact holds at least one"),
    ):
        artifacts.commit(DIGEST, working, ABOUT)


@pytest.mark.parametrize("manifest", [{}, {"kind": ""}, {"kind": "adapter", "files": []}])
def test_a_manifest_without_a_kind_is_refused(artifacts: Artifacts, manifest: dict[str, object]) -> None:
    with artifacts.building(DIGEST) as working, pytest.raises(BadRecord, match="give it a 'kind', and leave 'files'"):
        artifacts.commit(DIGEST, working, manifest)


def test_nothing_is_committed_twice(artifacts: Artifacts) -> None:
    build(artifacts)
    with pytest.raises(LabBroken, match=f"artifact {DIGEST} is in .* already; nothing was replaced"):
        build(artifacts)
    assert artifacts.verify(DIGEST).name == DIGEST


def test_only_the_working_folder_can_be_committed(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match="is not where .* is built; commit the folder that building"):
        artifacts.commit(DIGEST, tmp_path, ABOUT)


@pytest.mark.parametrize("name", ["../escape", "ab12", ""])
def test_a_name_that_is_no_digest_is_refused(artifacts: Artifacts, name: str) -> None:
    with pytest.raises(BadRecord, match="an artifact's digest is .*; it must be the full digest"):
        artifacts.find(name)
    with pytest.raises(BadRecord, match="it must be the full digest"), artifacts.building(name):
        pass


class TestDamage:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"weight", "adapter.safetensors has 6 bytes, and 7 bytes in its manifest"),
            (None, "adapter.safetensors has no entry"),
        ],
    )
    def test_to_a_size_is_found_at_once(self, artifacts: Artifacts, content: bytes | None, why: str) -> None:
        path = build(artifacts) / "adapter.safetensors"
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(LabBroken, match=f"is damaged: {why}.*Delete that folder and run again"):
            artifacts.find(DIGEST)

    def test_by_a_file_that_was_added_is_found(self, artifacts: Artifacts) -> None:
        (build(artifacts) / "more.txt").write_text("x")
        with pytest.raises(LabBroken, match="more.txt has 1 bytes, and no entry in its manifest"):
            artifacts.find(DIGEST)

    def test_to_one_byte_is_found_by_verify(self, artifacts: Artifacts) -> None:
        folder = build(artifacts)
        (folder / "tokenizer" / "vocab.json").write_text("[]")
        assert artifacts.find(DIGEST) == folder
        with pytest.raises(LabBroken, match="tokenizer/vocab.json does not have the SHA-256 in its manifest"):
            artifacts.verify(DIGEST)

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": [{}], "kind": "x"}', '{"files": 3}'])
    def test_to_the_manifest_is_found(self, artifacts: Artifacts, text: str) -> None:
        (build(artifacts) / "manifest.json").write_text(text)
        with pytest.raises(LabBroken, match="is damaged: its manifest.json cannot be read"):
            artifacts.find(DIGEST)

    def test_that_took_the_manifest_is_found(self, artifacts: Artifacts) -> None:
        (build(artifacts) / "manifest.json").unlink()
        with pytest.raises(LabBroken, match="is damaged: its manifest.json is gone"):
            artifacts.find(DIGEST)

    def test_a_manifest_that_cannot_be_read_is_said(self, artifacts: Artifacts) -> None:
        path = build(artifacts) / "manifest.json"
        path.unlink()
        path.mkdir()
        with pytest.raises(
            GearsyError, match=r"manifest.json cannot be read \(Is a directory\). Check who may read it"
        ):
            artifacts.manifest(DIGEST)

    def test_verify_and_manifest_of_what_is_not_there_say_so(self, artifacts: Artifacts) -> None:
        for read in (artifacts.verify, artifacts.manifest):
            with pytest.raises(GearsyError, match=f"no artifact {DIGEST} in .*; run the study that makes it"):
                read(DIGEST)


def test_a_full_disk_at_commit_keeps_the_work_and_finishes_nothing(
    artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with artifacts.building(DIGEST) as working:
        (working / "adapter.safetensors").write_bytes(b"weights")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(NoSpace, match=f"no space left to write .*{DIGEST} .*free some space, then run again"):
                artifacts.commit(DIGEST, working, ABOUT)
    assert artifacts.find(DIGEST) is None
    with artifacts.building(DIGEST) as working:
        folder = artifacts.commit(DIGEST, working, ABOUT)
    assert json.loads((folder / "manifest.json").read_bytes())["kind"] == "adapter"
