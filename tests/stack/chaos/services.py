"""Stand-ins that fail as an attempt has planned: Ayrshare, the channels, and AWS in front of moto."""

import dataclasses
import http.server
import io
import json
import socket
import urllib.parse

from chaos.faults import Attempt, Reply
from chaos.world import API_KEY, PROFILES, WITHOUT_THRESHOLD
from lambda_runtime import QuietServer

ADDRESSES = {"AYRSHARE_URL": "api", "SLACK_URL": "slack", "WEBHOOK_URL": "webhook"}
# The kinds of records, as the ledger and as the world call them.
KINDS = {"item": "file", "post": "post"}
EMPTY = json.dumps({"status": "error", "code": 221, "message": "No history."}).encode()


@dataclasses.dataclass
class Arrival:
    """A message that has reached a channel."""

    attempt: Attempt
    channel: str
    body: dict
    # Whether the answer has left the channel.
    is_confirmed: bool = False
    # What the oracle has read in it.
    subjects: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Record:
    """A record that the ledger has accepted."""

    attempt: Attempt
    channel: str
    key: tuple
    # `None` if it was deleted.
    level: float | None


class Services:
    """The stand-ins. Each sandbox has its own addresses and credentials, by which its requests are told apart."""

    def __init__(self, account, world, clock):
        self.account, self.world, self.clock = account, world, clock
        # Arrivals and records, in their order.
        self.log = []
        # The present attempt of each sandbox.
        self.attempts = {}
        self.sandboxes = {}
        services = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._send(services._ayrshare(urllib.parse.urlsplit(self.path).path, self.headers))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(services._channel(self.path, body))

            def _send(self, reply):
                if reply is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.is_cut else reply.body)
                self.close_connection = reply.is_cut

            def log_message(self, *_):
                pass

        self.server = QuietServer(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.aws = account.boundary.application

    def __enter__(self):
        self.account.boundary.application = self._aws
        return self

    def __exit__(self, *_):
        self.account.boundary.application = self.aws
        self.server.shutdown()

    def environment(self, sandbox, stack):
        """The variables of a sandbox."""
        environment = stack.function_environment()
        self.sandboxes[environment["AWS_ACCESS_KEY_ID"]] = sandbox
        urls = {name: f"{self.url}/{sandbox}/{path}" for name, path in ADDRESSES.items()}
        return {**environment, **urls}

    def _ayrshare(self, path, headers):
        _, sandbox, _, what = path.split("/")
        attempt = self.attempts[sandbox]
        keys = {key: name for name, key in PROFILES.items()}
        profile = keys[headers["Profile-Key"]]

        def handle():
            if headers["Authorization"] != f"Bearer {API_KEY}":
                return Reply(401, is_error=True)
            if what == "media":
                return Reply(200, json.dumps(self.world.gallery(profile)).encode())
            posts = self.world.history(profile)
            return Reply(200, json.dumps({"history": posts}).encode()) if posts else Reply(400, EMPTY)

        return attempt.serve("ayrshare", profile, handle, lambda: attempt.served.add((what, profile)))

    def _channel(self, path, body):
        _, sandbox, type_ = path.split("/")
        channel = {"slack": "team", "webhook": "own"}[type_]
        return self._receive(sandbox, type_, channel, json.loads(body), lambda: Reply(200, b"ok", "text/plain"))

    def _receive(self, sandbox, type_, channel, message, handle):
        attempt = self.attempts[sandbox]
        arrival = Arrival(attempt, channel, message)

        def arrive():
            reply = handle()
            self.log.append(arrival)
            return reply

        def confirm():
            arrival.is_confirmed = True

        return attempt.serve(type_, channel, arrive, confirm)

    # -------------------------------------------------------------------------------------------- AWS

    def _aws(self, environ, start_response):
        """The application of moto, with faults in the requests of sandboxes."""
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        sandbox = self.sandboxes.get(scope[0])
        if self.attempts.get(sandbox) is None:
            # The administrator, or a process that is starting.
            return self.aws(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        reply = self._aws_reply(sandbox, scope[3], environ, body)
        if reply is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            reply = Reply(500)
        headers = [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]
        start_response(f"{reply.status} -", headers)
        return [reply.body]

    def _aws_reply(self, sandbox, service, environ, body):
        attempt = self.attempts[sandbox]

        def handle():
            return _call(self.aws, {**environ, "wsgi.input": io.BytesIO(body)})

        if service == "sns":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            return self._receive(sandbox, "sns", "ops", json.loads(form["Message"]), handle)
        if service != "dynamodb":
            return attempt.serve(service, environ["REQUEST_METHOD"], handle)
        operation = environ["HTTP_X_AMZ_TARGET"].rpartition(".")[2]
        request = json.loads(body)

        def handle_and_record():
            reply = handle()
            if operation == "BatchWriteItem" and reply.status == 200:
                assert not json.loads(reply.body).get("UnprocessedItems")
                self.log += [Record(attempt, *record) for record in _records(request)]
            return reply

        def note():
            if operation == "PutItem":
                attempt.served.add(("lease", "lease"))
            elif operation == "Query":
                partition = request["ExpressionAttributeValues"][":pk"]["S"]
                attempt.served.add(("records", partition.removeprefix("channel#")))

        return attempt.serve("dynamodb", operation, handle_and_record, note)


def _records(request):
    """The channels, keys and levels of the records of files and posts in a `BatchWriteItem`."""
    for writes in request["RequestItems"].values():
        for write in writes:
            item = write["PutRequest"]["Item"] if "PutRequest" in write else None
            names = item or write["DeleteRequest"]["Key"]
            kind, *parts = names["sk"]["S"].split("#")
            if kind in KINDS:
                profile, id_, expires_at = parts
                key = (KINDS[kind], profile, id_, None if expires_at == "-" else int(expires_at))
                level = item and float(item.get("level_s", {}).get("N", WITHOUT_THRESHOLD))
                yield names["pk"]["S"].removeprefix("channel#"), key, level


def _call(application, environ):
    """Calls a WSGI application."""
    started = []
    body = b"".join(application(environ, lambda status, headers, *_: started.append((status, headers))))
    status, headers = started[0]
    content_type = dict(headers).get("Content-Type", "application/octet-stream")
    status = int(status.split()[0])
    return Reply(status, body, content_type, is_error=400 <= status)
