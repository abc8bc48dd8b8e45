"""A Lambda Runtime API on loopback, and a process of the function that handles several events, like a warm instance."""

import http.server
import json
import queue
import subprocess
import threading
import time
import uuid

from template import ROOT


class QuietServer(http.server.ThreadingHTTPServer):
    """A server on a free port of loopback. It ignores clients that disconnect."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, *_):
        pass


class Answer:
    """The function's answer to an event."""

    def __init__(self, is_error, body):
        self.is_error = is_error
        self.body = json.loads(body)


class RuntimeApi:
    """Passes events to the function one at a time, like Lambda."""

    def __init__(self, timeout_s, now):
        self.events = queue.Queue()
        self.answers = queue.Queue()
        # Whether the function waits for an event.
        self.is_idle = threading.Event()
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                api.is_idle.set()
                event = api.events.get()
                api.is_idle.clear()
                body = b"" if event is None else json.dumps(event).encode()
                self.send_response(410 if event is None else 200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((now() + timeout_s) * 1000)))
                self.send_header(
                    "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:f"
                )
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                api.answers.put(Answer(self.path.endswith("/error"), body))

            def log_message(self, *_):
                pass

        self.server = QuietServer(Handler)

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"


class Function:
    """A process of the function with exactly the given environment. Use it as a context manager."""

    def __init__(self, command, environment, timeout_s=300, now=time.time):
        self.command = command
        self.environment = environment
        self.timeout_s = timeout_s
        self.now = now
        self.lines = []

    def __enter__(self):
        self.api = RuntimeApi(self.timeout_s, self.now)
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env={**self.environment, "AWS_LAMBDA_RUNTIME_API": self.api.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def crash_in(self, event, moment):
        """Sends an event, and kills the process when `moment` (a `threading.Event`) is set."""
        self.api.events.put(event)
        assert moment.wait(30), "the moment did not come; the log is:\n" + self.log
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        self.api.events.put(None)
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.api.server.shutdown()

    def invoke(self, event, timeout_s=30):
        """Sends an event and returns the answer."""
        self.api.events.put(event)
        try:
            return self.api.answers.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError("the function did not answer; the log is:\n" + self.log) from None

    @property
    def log(self):
        """The log so far."""
        time.sleep(0.05)
        return "".join(self.lines)

    @property
    def metrics(self):
        """The embedded metrics so far, one dictionary per run."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if "_aws" in line]
