"""A hub of our own: a small HTTP server with a hub's headers."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves {path: bytes} of one commit as a hub does: as long as `limit` bytes of bodies allow.

    `sent` holds the path and the Range of every answer with a body, `refuse` a status to give
    instead, with an error code of the hub's.
    """

    def __init__(self, files):
        self.files, self.sent = files, []
        self.limit, self.refuse = float("inf"), None
        self.etag, self.headers = (lambda data: hashlib.sha256(data).hexdigest()), True

    def answer(self, request, body):
        data = next((d for name, d in self.files.items() if request.path.endswith(name)), None)
        status, code = self.refuse or ((200, None) if data is not None else (404, "EntryNotFound"))
        start = 0
        if status == 200 and (part := request.headers["Range"]):
            status, start = 206, int(part.removeprefix("bytes=").removesuffix("-"))
        request.send_response(status)
        if status in (200, 206):
            self.describe(request, data, start, status)
        else:
            request.send_header("X-Error-Code", code or "")
            request.send_header("Content-Length", "0")
        request.end_headers()
        if body and status in (200, 206):
            self.sent.append((request.path, request.headers["Range"]))
            part = data[start : start + max(0, min(len(data), self.limit))]
            self.limit -= len(part)
            request.wfile.write(part)
            request.close_connection = True

    def describe(self, request, data, start, status):
        if self.headers:
            request.send_header("ETag", f'"{self.etag(data)}"')
            request.send_header("X-Repo-Commit", COMMIT)
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))


@contextmanager
def hub(files, **settings):
    """A hub of `files`; yields its address and the Hub."""
    shelf = Hub(files)
    vars(shelf).update(settings)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            shelf.answer(self, body=False)

        def do_GET(self):
            shelf.answer(self, body=True)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shelf
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
