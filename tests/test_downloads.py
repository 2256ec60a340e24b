"""Whatever a server does, a file is whole under its name or absent, and nothing else is left."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from energylens import downloads
from energylens.downloads import fetch
from energylens.errors import UserError

BODY = bytes(range(256)) * 400
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"


class Troubles(BaseHTTPRequestHandler):
    """Each address is one kind of trouble."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        getattr(self, self.path.rpartition("/")[2].removesuffix(".pt"))()

    def answer(self, body: bytes = BODY, code: int = 200, **headers):
        self.send_response(code)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.answer()

    def quota(self):
        self.answer(b"<!DOCTYPE html><html>Quota exceeded", Content_Type="text/html")

    def cut(self):
        self.answer(BODY[:5000], **{"Content-Length": str(len(BODY))})

    def dropped(self):
        self.connection.close()

    def cut_once(self):
        self.cut() if self.asked.count(self.path) == 1 else self.good()

    def busy_twice(self):
        self.answer(b"busy", 503) if self.asked.count(self.path) <= 2 else self.good()

    def busy(self):
        self.answer(b"busy", 503)

    def missing(self):
        self.answer(b"no", 404)

    def moved(self):
        self.answer(b"", 302, Location="/good.pt")

    def without_length(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def empty(self):
        self.answer(b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    monkeypatch.setattr(downloads, "WAIT", 0.01)
    monkeypatch.delenv("ENERGYLENS_MIRROR", raising=False)
    Troubles.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubles) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["good", "cut_once", "busy_twice", "moved", "without_length"])
@pytest.mark.parametrize("checksum", [None, SHA256, MD5])
def test_a_file_that_comes_is_whole_and_its_sha256_is_kept(server, tmp_path, kind, checksum):
    path = tmp_path / "models" / "net.pt"
    assert fetch(path, [f"{server}/{kind}"], checksum) == path
    assert path.read_bytes() == BODY
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.pt", "net.pt.sha256"]
    assert path.with_name("net.pt.sha256").read_text() == f"{SHA256.removeprefix('sha256:')}  net.pt\n"


@pytest.mark.parametrize(
    ("kind", "checksum", "why", "asked"),
    [
        ("quota", None, "a web page", 1),
        ("quota", SHA256, "not .*, a web page", 1),
        ("cut", None, "Error", 3),
        ("cut", SHA256, "Error", 3),
        ("dropped", None, "ConnectionError", 3),
        ("busy", None, "the server says 503", 3),
        ("missing", None, "the server says 404", 1),
        ("good", "sha256:0123456789", "what came has sha256 .*, not 01234567", 1),
        ("empty", None, "what came is empty", 3),
    ],
)
def test_a_file_that_does_not_come_is_absent_and_it_is_said_what_goes_where(
    server, tmp_path, kind, checksum, why, asked
):
    path, url = tmp_path / "net.pt", f"{server}/{kind}"
    wanted = rf"^net X is missing and could not be downloaded \(127.0.0.1:\d+: .*{why}.*\); save {url} as {path}$"
    with pytest.raises(UserError, match=wanted):
        fetch(path, [url], checksum, what="net X")
    assert list(tmp_path.iterdir()) == []
    assert len(Troubles.asked) == asked


def test_a_dead_address_is_followed_by_the_next(server, tmp_path):
    fetch(tmp_path / "net.pt", [f"{server}/busy", f"{server}/quota", f"{server}/good"])
    assert (tmp_path / "net.pt").read_bytes() == BODY


def test_a_mirror_of_the_cache_folder_comes_first(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path))
    monkeypatch.setenv("ENERGYLENS_MIRROR", f"{server}/dead {server}/copy/")
    fetch(tmp_path / "models" / "cifar10" / "Linf" / "good.pt", [f"{server}/missing"])
    assert Troubles.asked == ["/dead/models/cifar10/Linf/good.pt"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"placed by hand")
    fetch(tmp_path / "net.pt", [f"{server}/good"])
    assert Troubles.asked == []


def test_offline_nothing_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    with pytest.raises(UserError, match=r"\(\$ENERGYLENS_OFFLINE is set\); save .*/good as .*net.pt"):
        fetch(tmp_path / "net.pt", [f"{server}/good"])
    assert Troubles.asked == []


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "_check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path / "net.pt", [f"{server}/good"])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changed_later_is_noticed(server, tmp_path):
    path = fetch(tmp_path / "net.pt", [f"{server}/good"])
    assert downloads.verified(path) == SHA256.removeprefix("sha256:")
    path.write_bytes(BODY[:-1])
    with pytest.raises(UserError, match="is not what was downloaded"):
        downloads.verified(path)


def test_a_folder_that_cannot_be_made_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        fetch(tmp_path / "file" / "net.pt", [f"{server}/good"])
