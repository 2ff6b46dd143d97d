"""IMAP servers as processes: pymap from a package, Dovecot where it is installed."""

import imaplib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.fakes_tls import Authority
from tests.fhir_server import free_port

# As tests/imap_server.py has them.
USER, PASSWORD = "archive", "a password with spaces"
DOVECOT = shutil.which("dovecot", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', '')}")


class ImapProcess:
    """A server with one user, and a second client that puts mail there and takes it away."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = Authority(folder / "authority")
        self.ca_file = authority.root_file
        certificate, key = authority.issue("localhost")
        self._log = (folder / "log").open("wb")
        start = self._pymap if kind == "pymap" else self._dovecot
        self._process, self.port = start(folder, certificate, key)
        tls = ssl.create_default_context(cafile=self.ca_file)
        self.client = imaplib.IMAP4_SSL("localhost", self.port, ssl_context=tls, timeout=20)
        self.client.login(USER, PASSWORD)

    def _pymap(
        self, folder: Path, certificate: Path, key: Path
    ) -> tuple[subprocess.Popen[bytes], int]:
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("imap_server.py"), certificate, key],
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port.strip().isdigit(), "the IMAP server did not start"
        return process, int(port)

    def _dovecot(
        self, folder: Path, certificate: Path, key: Path
    ) -> tuple[subprocess.Popen[bytes], int]:
        port = free_port()
        # Its helpers run as other users, who have to get there.
        run = Path(f"/tmp/dovecot-{os.getpid()}-{port}")
        shutil.rmtree(run, ignore_errors=True)
        (run / "mail").mkdir(parents=True)
        shutil.chown(run / "mail", "mail", "mail")
        self._run = run
        (run / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        (run / "users").chmod(0o644)
        config = run / "dovecot.conf"
        config.write_text(
            f"""
base_dir = {run}/base
state_dir = {run}/state
log_path = {run}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
mail_location = maildir:{run}/mail/%u
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {run}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={run}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service stats {{
  chroot =
}}
"""
        )
        process = subprocess.Popen(
            [DOVECOT, "-F", "-c", config], stdout=self._log, stderr=self._log
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return process, port
            assert process.poll() is None, "dovecot did not start"
            time.sleep(0.05)
        raise AssertionError("dovecot did not listen in time")

    def put(self, mail: bytes, folder: str = "INBOX") -> str:
        """Deliver a message and return its validity and number, joined."""
        _, lines = self.client.append(folder, None, None, mail)
        found = re.search(rb"APPENDUID (\d+) (\d+)", lines[0])
        assert found is not None
        return f"{int(found[1])}-{int(found[2])}"

    def remove(self, name: str, folder: str = "INBOX") -> None:
        """Delete a message for good."""
        self.client.select(folder)
        self.client.uid("STORE", name.partition("-")[2], "+FLAGS", r"(\Deleted)")
        self.client.expunge()

    def flags(self, folder: str = "INBOX") -> bytes:
        """Return the flags of all messages."""
        self.client.select(folder, readonly=True)
        return repr(self.client.fetch("1:*", "(FLAGS)")[1]).encode()

    def stop(self) -> None:
        """End the process."""
        with suppress(OSError, imaplib.IMAP4.error):
            self.client.logout()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=20)
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
        if run := getattr(self, "_run", None):
            shutil.rmtree(run, ignore_errors=True)


def dovecot_runs() -> str:
    """Return why Dovecot cannot be started here, ``""`` when it can."""
    if DOVECOT is None:
        return "dovecot is not installed (Debian: dovecot-imapd)"
    return "" if os.geteuid() == 0 else "dovecot is started by root alone"
