"""A stand-in for Ayrshare on loopback, with one primary profile whose gallery and key are set by the tests."""

import datetime
import http.server
import json
import threading
import urllib.parse

from lambda_runtime import QuietServer


def media(name, expires_in):
    """A file in Ayrshare's format."""
    now = datetime.datetime.now(datetime.UTC)

    def time(instant):
        return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    return {
        "id": f"5553a26a-cffb-4a31-bd89-{abs(hash(name)) % 10**12:012}-jpeg",
        "timeCreated": time(now - datetime.timedelta(days=30)),
        "size": "223340",
        "url": f"https://images.ayrshare.com/account/{name}",
        "fileName": name,
        "description": "",
        "expiresAt": time(now + expires_in),
    }


class Ayrshare:
    """The stand-in. Use it as a context manager."""

    def __init__(self, key):
        self.key = key
        self.gallery = []
        self.requests = []
        # If true, requests are not answered until `resume` is set.
        self.hangs = False
        self.asked, self.resume = threading.Event(), threading.Event()

    def __enter__(self):
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = urllib.parse.urlsplit(self.path).path
                if stand_in.hangs:
                    stand_in.asked.set()
                    stand_in.resume.wait(60)
                status, body = stand_in.answer(path, self.headers.get("Authorization"))
                stand_in.requests.append((path, status))
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = QuietServer(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        return self

    def __exit__(self, *_):
        self.resume.set()
        self.server.shutdown()

    def answer(self, path, authorization):
        if authorization != f"Bearer {self.key}":
            return 401, {"action": "authorization", "status": "error", "code": 102, "message": "API Key not valid."}
        if path == "/api/media":
            return 200, self.gallery
        if path == "/api/history":
            return 400, {"action": "history", "status": "error", "code": 221, "message": "No history."}
        return 404, {"status": "error", "message": "not found"}
