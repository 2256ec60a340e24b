"""Whatever a server does, a file is whole under its name or absent, and nothing else is left."""

import hashlib
import os
import time

import pytest
from troubles import BODY, Troubles, serving

from energylens import downloads
from energylens.downloads import fetch
from energylens.errors import UserError
from energylens.models import sound

SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
PLACE = "models/cifar10/Linf/good.pt"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "WAIT", 0.01)
    monkeypatch.delenv("ENERGYLENS_MIRROR", raising=False)
    with serving() as address:
        yield address


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
        ("quota", SHA256, "a web page", 1),
        ("html", None, "a web page", 1),
        ("partial", None, "the server says 206 Partial Content, not 200", 1),
        ("html_with_mark", None, "a web page", 1),
        ("html_with_mark", SHA256, "not .*, a web page", 1),
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


@pytest.mark.parametrize(
    ("kind", "why", "asked"),
    [
        ("cut_without_length", "what came is not the whole file", 3),
        ("cut_gzip", "what came is not the whole file", 3),
        ("text", "what came is text, not the file; it begins: Quota exceeded", 1),
        ("json", 'what came is text, not the file; it begins: {"error": "rate limit"}', 1),
        ("html_after_a_word", "what came is text, not the file; it begins: Sorry! <html>Quota", 1),
    ],
)
def test_a_checkpoint_that_is_half_or_foreign_is_absent_without_a_checksum_too(server, tmp_path, kind, why, asked):
    with pytest.raises(UserError) as error:
        fetch(tmp_path / "net.pt", [f"{server}/{kind}"], sound=sound.checkpoint)
    assert why in str(error.value)
    assert list(tmp_path.iterdir()) == []
    assert len(Troubles.asked) == asked


def test_a_cut_checkpoint_is_asked_for_again(server, tmp_path):
    fetch(tmp_path / "net.pt", [f"{server}/cut_gzip_once"], sound=sound.checkpoint)
    assert (tmp_path / "net.pt").read_bytes() == BODY


def test_a_mirror_of_the_cache_folder_comes_first_wherever_the_folder_is(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_MIRROR", f"{server}/dead {server}/copy/")
    fetch(tmp_path / "mine" / "cifar10" / "Linf" / "good.pt", [f"{server}/missing"], place=PLACE)
    assert Troubles.asked == [f"/dead/{PLACE}.sha256", f"/dead/{PLACE}"]


def test_a_mirrors_own_sha256_is_held_against_its_file(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_MIRROR", server)
    Troubles.sha256 = f"{SHA256.removeprefix('sha256:')}  good.pt\n".encode()
    path = tmp_path / "cifar10" / "Linf" / "good.pt"
    fetch(path, [f"{server}/missing"], place=PLACE)
    path.unlink()
    Troubles.sha256 = b"0" * 64
    with pytest.raises(UserError, match=r"what came has sha256 .*, not 00000000\.\.\."):
        fetch(path, [f"{server}/missing"], place=PLACE)
    Troubles.sha256 = b"no checksum"
    with pytest.raises(UserError, match=r"good\.pt\.sha256 there holds no sha256"):
        fetch(path, [f"{server}/missing"], place=PLACE)


@pytest.mark.parametrize("value", ["mirror.example.org/cache", "http://", "/srv/cache"])
def test_a_mirror_that_is_no_address_is_one_line(server, tmp_path, monkeypatch, value):
    monkeypatch.setenv("ENERGYLENS_MIRROR", f"{server} {value}")
    with pytest.raises(UserError, match=rf"^\$ENERGYLENS_MIRROR holds '{value}', which is no address; write http"):
        fetch(tmp_path / "net.pt", [f"{server}/good"], place=PLACE)


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

    monkeypatch.setattr(downloads, "check", interrupted)
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


def test_a_download_that_failed_leaves_no_folder_that_it_made(server, tmp_path):
    with pytest.raises(UserError):
        fetch(tmp_path / "a" / "models" / "cifar10" / "Linf" / "good.pt", [f"{server}/missing"], place=PLACE)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_goes_with_the_next_one_and_what_still_comes_stays(server, tmp_path):
    dead, alive = tmp_path / ".download-dead", tmp_path / ".download-alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "half.pt").write_bytes(BODY[:5000])
    for path in (dead / "half.pt", dead, alive):
        os.utime(path, (time.time() - 2 * downloads.STALE,) * 2)
    fetch(tmp_path / "cifar10" / "Linf" / "good.pt", [f"{server}/good"], place=PLACE)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".download-alive", "cifar10"]


def test_a_download_lies_in_the_models_own_folder_while_it_comes(server, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(downloads, "check", lambda part, *_: seen.append(part))
    fetch(tmp_path / "models" / "cifar10" / "Linf" / "good.pt", [f"{server}/good"], place=PLACE)
    assert seen[0].parent.parent == tmp_path / "models"
