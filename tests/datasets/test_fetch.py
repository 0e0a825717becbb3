import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from datasets.builders import IMAGES, LABELS, Request, small_set, write_files
from snnsim.datasets import fetch, load
from snnsim.datasets.catalog import CATALOG
from snnsim.errors import DataError, InputError


class Mirrors:
    """Two mirrors on this machine, ``/first/`` and ``/second/``, that serve the set's files until told otherwise."""

    def __init__(self, address: str, contents: dict[str, bytes]) -> None:
        self.urls = (f"{address}/first/", f"{address}/second/")
        self.asked: list[str] = []
        self.files = {
            f"/{mirror}/{name}.gz": gzip.compress(content)
            for mirror in ("first", "second")
            for name, content in contents.items()
        }
        self.announced: dict[str, int] = {}  # lengths that are promised but not kept


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    """Serve a small set under the name of MNIST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            if self.path not in served.files:
                self.send_error(404)
                return
            content = served.files[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(served.announced.get(self.path, len(content))))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing into the tests' output."""

    monkeypatch.setenv("no_proxy", "*")
    info, contents = small_set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Mirrors(f"http://127.0.0.1:{server.server_port}", contents)
        monkeypatch.setitem(CATALOG, "mnist", replace(info, mirrors=served.urls))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def left(folder: Path) -> list[str]:
    """List all files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_fetch(tmp_path: Path, mirrors: Mirrors) -> None:
    """All four files arrive, can be loaded, and nothing else lies beside them; progress runs to the end."""
    seen: list[tuple[str, int, int | None]] = []

    folder = fetch("mnist", tmp_path, lambda *call: seen.append(call))

    assert folder == tmp_path / "mnist"
    assert left(tmp_path) == sorted(f"mnist/{file.name}.gz" for file in CATALOG["mnist"].files)
    assert len(load(Request("mnist"), tmp_path).test) == 20
    assert all(path.startswith("/first/") for path in mirrors.asked)
    for file in CATALOG["mnist"].files:
        size = len(mirrors.files[f"/first/{file.name}.gz"])
        assert [call for call in seen if call[0] == file.name][-1] == (file.name, size, size)


def test_nothing_to_fetch(tmp_path: Path, mirrors: Mirrors) -> None:
    """Files that are there already are not downloaded again, and digits never are."""
    fetch("mnist", tmp_path)
    mirrors.asked.clear()

    fetch("mnist", tmp_path)

    assert mirrors.asked == []
    assert (fetch("digits", tmp_path) / "digits.npz").is_file()


def test_only_what_is_missing_or_wrong(tmp_path: Path, mirrors: Mirrors) -> None:
    """A damaged file is replaced, plain or gzipped; whole ones stay."""
    _, contents = small_set()
    write_files(tmp_path / "mnist", contents, gzipped=False)
    (tmp_path / "mnist" / IMAGES).write_bytes(contents[IMAGES][:-1])

    fetch("mnist", tmp_path)

    assert mirrors.asked == [f"/first/{IMAGES}.gz"]
    assert not (tmp_path / "mnist" / IMAGES).exists()
    assert len(load(Request("mnist"), tmp_path).test) == 20


def test_default_folder(tmp_path: Path, cache: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder SNNSIM_DATA is used, and without that the user's cache."""
    assert fetch("mnist") == cache / "mnist"

    monkeypatch.setenv("SNNSIM_DATA", str(tmp_path / "variable"))
    assert fetch("mnist") == tmp_path / "variable" / "mnist"


def damage(mirrors: Mirrors, kind: str, mirror: str) -> str:
    """Spoil one file of a mirror; gives the words that tell of it."""
    path = f"/{mirror}/{IMAGES}.gz"
    content = mirrors.files[path]
    if kind == "missing":
        del mirrors.files[path]
        return "Not Found"
    if kind == "interrupted":
        mirrors.files[path] = content[:100]
        mirrors.announced[path] = len(content)
        return "100"
    if kind == "cut":
        mirrors.files[path] = content[:100]
        return "the compressed data end early"
    mirrors.files[path] = gzip.compress(b"other") if kind == "wrong" else b"<html>log in first</html>"
    return "wrong content"


KINDS = ["missing", "interrupted", "cut", "wrong", "page"]


@pytest.mark.parametrize("kind", KINDS)
def test_second_mirror(tmp_path: Path, mirrors: Mirrors, kind: str) -> None:
    """Where the first mirror fails, in whatever way, the second one is asked."""
    damage(mirrors, kind, "first")

    fetch("mnist", tmp_path)

    assert mirrors.asked.count(f"/second/{IMAGES}.gz") == 1
    assert len(load(Request("mnist"), tmp_path).test) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_all_mirrors_fail(tmp_path: Path, mirrors: Mirrors, kind: str) -> None:
    """The message tells each mirror's fault and what to do by hand; only whole, verified files stay."""
    for mirror in ("first", "second"):
        words = damage(mirrors, kind, mirror)

    with pytest.raises(DataError) as caught:
        fetch("mnist", tmp_path)

    text = str(caught.value)
    assert text.startswith(f"{IMAGES} could not be downloaded")
    assert text.count(words) >= 2
    assert left(tmp_path) == ["mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz"]

    info, contents = small_set()
    assert str(tmp_path / "mnist") in text
    assert all(f"{file.sha256}  {file.name}" in text for file in info.files)
    assert all(url in text for url in mirrors.urls)
    write_files(tmp_path / "mnist", {name: contents[name] for name in (IMAGES, LABELS)}, gzipped=False)
    assert len(load(Request("mnist"), tmp_path).test) == 20


def test_goes_on_after_a_failure(tmp_path: Path, mirrors: Mirrors) -> None:
    """A second try fetches only the files that are still missing, from their beginning."""
    whole = dict(mirrors.files)
    for mirror in ("first", "second"):
        damage(mirrors, "cut", mirror)
    with pytest.raises(DataError):
        fetch("mnist", tmp_path)
    mirrors.files = whole
    mirrors.asked.clear()

    fetch("mnist", tmp_path)

    assert mirrors.asked == [f"/first/{IMAGES}.gz", f"/first/{LABELS}.gz"]
    content = gzip.decompress((tmp_path / "mnist" / f"{IMAGES}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == CATALOG["mnist"].files[2].sha256


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network nothing is left behind, not even a folder, and the way by hand is told."""
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        closed = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(CATALOG, "mnist", replace(CATALOG["mnist"], mirrors=(closed,)))

    with pytest.raises(DataError, match=r"(?s)refused.*put these files, plain or gzipped.*sha256"):
        fetch("mnist", tmp_path / "new")

    assert list(tmp_path.iterdir()) == []


def test_interrupted_by_the_user(tmp_path: Path, mirrors: Mirrors) -> None:
    """Ctrl-C in the middle of a file leaves nothing behind."""

    def stop(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("mnist", tmp_path, stop)

    assert left(tmp_path) == []


def test_folder_that_cannot_be_written(tmp_path: Path, mirrors: Mirrors) -> None:
    """A target that is a file, or lies below one, is refused before anything is downloaded."""
    (tmp_path / "file").write_text("")

    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=r"cannot be written; name another folder with --data-dir DIR"):
            fetch("mnist", target)
    assert mirrors.asked == []


def test_disk_full(tmp_path: Path, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written whole is not left there in part."""

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snnsim.files.os.fsync", full)

    with pytest.raises(InputError, match="No space left on device"):
        fetch("mnist", tmp_path)

    assert left(tmp_path) == []


def test_no_folder_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is neither a named folder nor a home, one must be named."""
    monkeypatch.setattr("snnsim.datasets.locate.cache_dir", lambda: None)

    with pytest.raises(DataError, match="give --data-dir DIR"):
        fetch("mnist")


def test_unknown_name(tmp_path: Path) -> None:
    """A misspelt name is an error with the right one."""
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        fetch("mnst", tmp_path)
