"""A time-stamping authority: ``openssl ts`` behind an HTTP server of a test."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.fakes_tls import Authority

CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
signer_cert = {cert}
signer_key = {key}
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
"""


class StampingAuthority:
    """Stamps what it is sent, as a real one does; ``answer`` takes the place of its answer."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        cert, key = self.authority.issue("tsa", stamping=True)
        self.config = folder / "tsa.cnf"
        self.config.write_text(CONFIG.format(folder=folder, cert=cert, key=key))
        (folder / "serial").write_text("01\n")
        self.answer: bytes | None = None
        self.asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def stamp(self, query: bytes) -> bytes:
        """Return the answer of ``openssl ts`` to a query."""
        asked = self.config.with_name(f"query-{self.asked}")
        asked.write_bytes(query)
        command = ["openssl", "ts", "-reply", "-config", self.config, "-queryfile", asked]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        tsa = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.headers["Content-Type"] == "application/timestamp-query"
                query = self.rfile.read(int(self.headers["Content-Length"]))
                tsa.asked += 1
                answer = tsa.stamp(query) if tsa.answer is None else tsa.answer
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
