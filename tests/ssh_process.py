"""SFTP servers as processes: Twisted Conch from a package, OpenSSH's sshd where there is one."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fhir_server import free_port

PASSWORD = "a password with spaces and $"
SSHD = shutil.which("sshd", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', '')}")


class KeyPair:
    """A key in the files that OpenSSH reads."""

    def __init__(self, path: Path) -> None:
        key = Ed25519PrivateKey.generate()
        self.file = path
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(secret)
        self.public = (
            key.public_key()
            .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
            .decode()
        )


class SftpProcess:
    """A server over ``home``, its key and who may come in."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        self.home.mkdir()
        self.host_key = KeyPair(folder / "host")
        self.client_key = KeyPair(folder / "client")
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self._log = (folder / "log").open("wb")
        started = self._conch(folder) if kind == "conch" else self._openssh(folder)
        self._process, self.port = started
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.host_key.public}\n")

    def _conch(self, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
        settings = {
            "home": str(self.home),
            "user": self.user,
            "password": PASSWORD,
            "host_key": str(self.host_key.file),
            "client_key": self.client_key.public,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("sftp_server.py"), folder / "settings.json"],
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port.strip().isdigit(), "the SFTP server did not start"
        return process, int(port)

    def _openssh(self, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
        (folder / "authorized").write_text(self.client_key.public + "\n")
        port = free_port()
        lines = [
            f"HostKey {self.host_key.file}",
            f"AuthorizedKeysFile {folder / 'authorized'}",
            "ListenAddress 127.0.0.1",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "PidFile none",
            "Subsystem sftp internal-sftp",
        ]
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-p", str(port), "-f", folder / "sshd_config"],
            stdout=self._log,
            stderr=self._log,
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return process, port
            assert process.poll() is None, "sshd did not start"
            time.sleep(0.05)
        raise AssertionError("sshd did not listen in time")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(timeout=20)
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()


def sshd_runs() -> str:
    """Return why OpenSSH's server cannot be started here, ``""`` when it can."""
    if SSHD is None:
        return "sshd is not installed (Debian: openssh-server)"
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        return "sshd run by root needs the folder /run/sshd"
    return ""
