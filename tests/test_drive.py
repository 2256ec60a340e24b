"""Google Drive's troubles through gdown itself, its addresses led to a local server."""

import importlib
import re

import gdown
import pytest
import requests
from troubles import BODY, Troubles, serving

from energylens import downloads
from energylens.downloads import fetch
from energylens.errors import UserError
from energylens.transfers import DRIVE


@pytest.fixture
def drive(monkeypatch, tmp_path):
    """Google Drive's file of id X is the server's address X."""
    usual = requests.Session.get
    monkeypatch.setattr(downloads, "WAIT", 0.01)
    monkeypatch.setattr(importlib.import_module(gdown.download.__module__), "home", str(tmp_path))  # of its cookies
    (tmp_path / ".cache" / "gdown").mkdir(parents=True)
    with serving() as address:

        def led(session, url, **settings):
            kind = re.search(r"id=(\w+)", url).group(1)
            return usual(session, f"{address}/{kind}", **settings)

        monkeypatch.setattr(requests.Session, "get", led)
        yield


@pytest.mark.parametrize("kind", ["drive_good", "drive_busy_once"])
def test_a_file_of_google_drive_comes_and_nothing_else_is_written(drive, tmp_path, kind):
    path = fetch(tmp_path / "models" / "net.pt", [f"{DRIVE}{kind}"])
    assert path.read_bytes() == BODY
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"net.pt", "net.pt.sha256"}


@pytest.mark.parametrize(
    ("kind", "why", "asked"),
    [
        ("drive_quota", "Google Drive: Too many users have viewed this file recently. Try later", 1),
        ("busy", "Google Drive: Cannot retrieve the public link of the file.", 3),
        ("drive_broken", "Google Drive: Cannot retrieve the public link of the file.", 6),
        ("drive_limit", "Google Drive: Cannot retrieve the public link of the file.", 3),
        ("drive_without_type", "Google Drive: an answer without content-type", 3),
        ("drive_cut", "ChunkedEncodingError", 3),
    ],
)
def test_what_google_drive_does_not_give_is_absent_and_the_reason_is_shown(drive, tmp_path, kind, why, asked):
    """Busy servers are asked three times; where one says 500, gdown asks at a second address each time."""
    with pytest.raises(UserError) as error:
        fetch(tmp_path / "models" / "net.pt", [f"{DRIVE}{kind}"])
    assert why in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]
    assert len(Troubles.asked) == asked
