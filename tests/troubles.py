"""A local server each of whose addresses is one kind of trouble."""

import gzip
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import torch


def _saved() -> bytes:
    out = io.BytesIO()
    torch.save({"linear.weight": torch.arange(20000.0)}, out)
    return out.getvalue()


BODY = _saved()
"""a whole checkpoint"""
QUOTA = b"""<html><title>Google Drive - Quota exceeded</title><p class="uc-error-caption">Sorry</p>
<p class="uc-error-subcaption">Too many users have viewed this file recently. <a href="x">Try later</a></p>"""


def kind_of(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".pt")


class Troubles(BaseHTTPRequestHandler):
    """Each address is one kind of trouble."""

    asked: ClassVar[list[str]] = []
    sha256: ClassVar[bytes | None] = None
    """what lies beside the files under another address's `.sha256`"""

    def do_GET(self):
        self.asked.append(self.path)
        self.beside() if self.path.endswith(".sha256") else getattr(self, kind_of(self.path))()

    def answer(self, body: bytes = BODY, code: int = 200, **headers):
        self.send_response(code)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.answer()

    def quota(self):
        self.answer(b"<!DOCTYPE html><html>Quota exceeded", Content_Type="text/html")

    def cut(self):
        self.answer(BODY[:5000], Content_Length=str(len(BODY)))

    def dropped(self):
        self.connection.close()

    def cut_once(self):
        self.cut() if self.asked.count(self.path) == 1 else self.good()

    def busy_twice(self):
        self.answer(b"busy", 503) if self.asked.count(self.path) <= 2 else self.good()

    def busy(self):
        self.answer(b"busy", 503, Content_Type="text/plain")

    def beside(self):
        self.missing() if self.sha256 is None else self.answer(self.sha256)

    def missing(self):
        self.answer(b"no", 404)

    def moved(self):
        self.answer(b"", 302, Location="/good.pt")

    def without_length(self):
        self.answer(Content_Length=None)

    def cut_without_length(self):
        self.answer(BODY[:5000], Content_Length=None)

    def cut_gzip(self):
        self.answer(gzip.compress(BODY)[:5000], Content_Length=None, Content_Encoding="gzip")

    def cut_gzip_once(self):
        self.cut_gzip() if self.asked.count(self.path) == 1 else self.good()

    def partial(self):
        self.answer(BODY[:5000], 206, Content_Range=f"bytes 0-4999/{len(BODY)}")

    def empty(self):
        self.answer(b"")

    def html(self):
        self.answer(BODY, Content_Type="Text/HTML; charset=utf-8")

    def text(self):
        self.answer(b"Quota exceeded\n", Content_Type="text/plain")

    def json(self):
        self.answer(b'{"error": "rate limit"}', Content_Type="application/json")

    def html_with_mark(self):
        self.answer(b"\xef\xbb\xbf<html>Quota exceeded")

    def html_after_a_word(self):
        self.answer(b"Sorry! <html>Quota exceeded")

    def drive_good(self):
        self.answer(Content_Disposition='attachment; filename="x.pt"', Content_Type="application/octet-stream")

    def drive_busy_once(self):
        self.busy() if self.asked.count(self.path) == 1 else self.drive_good()

    def drive_quota(self):
        self.answer(QUOTA, Content_Type="text/html")

    def drive_broken(self):
        self.answer(b"<html>Internal error", 500, Content_Type="text/html")

    def drive_limit(self):
        self.answer(b"<html>Too many requests", 429, Content_Type="text/html")

    def drive_without_type(self):
        self.answer(b"?")

    def drive_cut(self):
        about = {"Content_Disposition": 'attachment; filename="x.pt"', "Content_Type": "application/octet-stream"}
        self.answer(BODY[:5000], Content_Length=str(len(BODY)), **about)

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[str]:
    """The server's address."""
    Troubles.asked.clear()
    Troubles.sha256 = None
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubles) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()
