"""One connection of OpenSSH's own client to the sftp subsystem of a server whose key is known.

OpenSSH does what must be right: keys, ciphers, who the server is. It reads no configuration but
what is given here, asks no agent and nobody, and the connection is opened inside this process's
seal and handed to it.
"""

import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from ingest.sources.sftp_wire import Sftp
from ragplatform.egress import Allowed, tcp_connection
from ragplatform.errors import ConfigurationError, SourceError

_DOOR: Final = Path(__file__).with_name("ssh_door.py")
_CONNECT_S: Final = 20.0
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:\-]{0,253}")
_STEP: Final = 64 * 1024
# What is refused or switched off is so by default in some places and not in others: said anyway.
_FIXED: Final = (
    *("StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "VerifyHostKeyDNS=no"),
    *("UpdateHostKeys=no", "CheckHostIP=no", "KnownHostsCommand=none", "HashKnownHosts=no"),
    *("IdentitiesOnly=yes", "IdentityAgent=none", "AddKeysToAgent=no", "PKCS11Provider=none"),
    *("GSSAPIAuthentication=no", "HostbasedAuthentication=no", "ForwardAgent=no"),
    *("ForwardX11=no", "ClearAllForwardings=yes", "Tunnel=no", "PermitLocalCommand=no"),
    *("ControlMaster=no", "ControlPath=none", "RequestTTY=no", "EscapeChar=none"),
    *("CanonicalizeHostname=no", "Compression=no", "LogLevel=ERROR", "ProxyUseFdpass=yes"),
    *("NumberOfPasswordPrompts=1", "ConnectionAttempts=1", "ServerAliveInterval=15"),
    *("ServerAliveCountMax=4", "KbdInteractiveAuthentication=no"),
)
# It takes a password from a program alone. The variable is seen by who may read our memory too.
_ASK: Final = '#!/bin/sh\nprintf "%s\\n" "$RAGPLATFORM_SSH_PASSWORD"\n'


@dataclass(frozen=True, slots=True)
class SshServer:
    """A server and who we are to it: ``known_hosts`` holds its key, one of the others is ours."""

    host: str
    port: int
    user: str
    known_hosts: Path
    key_file: Path | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises ``ConfigurationError`` for what ssh could take for something else."""
        if not _HOST.fullmatch(self.host) or not _USER.fullmatch(self.user):
            raise ConfigurationError("an SFTP source's place is sftp://user@host[:port]/folder")
        if (self.key_file is None) == (self.password is None):
            raise ConfigurationError("an SFTP source has key_file or password_file, and not both")


class SshPipe:
    """The bytes to and from the server's sftp subsystem."""

    def __init__(self, server: SshServer, allowed: Allowed) -> None:
        """Raises ``SourceError`` when the server is away, ``EgressBlockedError`` outside.

        Whether it is the right one shows with the first answer.
        """
        program = shutil.which("ssh")
        if program is None:
            raise SourceError("an SFTP source needs OpenSSH's client: install openssh-client")
        try:
            connection = tcp_connection(allowed, server.host, server.port, timeout_s=_CONNECT_S)
        except OSError as error:
            raise SourceError(
                f"the SFTP server does not answer ({error.strerror or type(error).__name__})"
            ) from error
        self._errors = bytearray()
        self._folder = tempfile.TemporaryDirectory(prefix="ssh-")
        try:
            self._process = _started_through(program, server, connection, Path(self._folder.name))
        except OSError as error:
            self._folder.cleanup()
            raise SourceError("ssh could not be started") from error
        finally:
            connection.close()
        self._drained = threading.Thread(target=self._drain, daemon=True)
        self._drained.start()

    def _drain(self) -> None:
        """Keep the beginning of what ssh complains of; it must not stop for a full pipe."""
        with _stream(self._process.stderr) as errors:
            while part := errors.read(1024):
                if len(self._errors) < 4096:
                    self._errors += part

    def send(self, data: bytes, until: float) -> None:
        """Send bytes. Raises ``SourceError`` when the connection is gone, or too slow."""
        handle = _stream(self._process.stdin).fileno()
        left = memoryview(data)
        while left:
            self._await(handle, until, writing=True)
            try:
                left = left[os.write(handle, left[:_STEP]) :]
            except OSError:
                raise self._ended() from None

    def receive(self, size: int, until: float) -> bytes:
        """Return exactly so many bytes. Raises ``SourceError`` likewise."""
        handle = _stream(self._process.stdout).fileno()
        parts: list[bytes] = []
        while size:
            self._await(handle, until, writing=False)
            part = os.read(handle, min(size, _STEP))
            if not part:
                raise self._ended()
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _await(self, handle: int, until: float, *, writing: bool) -> None:
        poll = select.poll()
        poll.register(handle, select.POLLOUT if writing else select.POLLIN)
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise SourceError("the SFTP server takes too long to answer")

    def _ended(self) -> SourceError:
        """Return the error for a connection that ended: ssh's own words are told apart by kind.

        They may hold what the server said, so they are not repeated.
        """
        self._drained.join(timeout=5)
        words = bytes(self._errors).lower()
        if b"host key verification failed" in words or b"host key is known" in words:
            return SourceError(
                "the SFTP server does not have the key that `known_hosts` says, or none is known: "
                "if it was changed on purpose, its administrator tells the new one"
            )
        if b"permission denied" in words:
            return SourceError("the SFTP server does not accept our key or password")
        if b"unprotected private key" in words or b"bad permissions" in words:
            return SourceError("ssh refuses the key file: it must be readable by its owner alone")
        return SourceError("the connection to the SFTP server ended")

    def close(self) -> None:
        """End the connection. Calling it again does nothing."""
        _end(self._process)
        self._drained.join(timeout=5)
        self._folder.cleanup()


def opened(server: SshServer, allowed: Allowed) -> tuple[Sftp, Callable[[], None]]:
    """Return a session with a server and what ends it.

    Raises ``SourceError`` when it is away, another one than we know, or refuses us.
    """
    pipe = SshPipe(server, allowed)
    try:
        return Sftp(pipe), pipe.close
    except BaseException:
        pipe.close()
        raise


def _started_through(
    program: str, server: SshServer, connection: socket.socket, folder: Path
) -> subprocess.Popen[bytes]:
    """Start ssh and hand it the connection. Raises ``OSError``."""
    connection.setblocking(True)
    path = folder / "door"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(1)
        door.settimeout(_CONNECT_S)
        process = _started(program, server, path, folder)
        try:
            # Nobody else comes through: the folder is closed to others.
            comer, _ = door.accept()
            with comer:
                socket.send_fds(comer, [b"\0"], [connection.fileno()])
        except OSError:
            _end(process)
            raise
    return process


def _started(program: str, server: SshServer, door: Path, folder: Path) -> subprocess.Popen[bytes]:
    # The command goes through a shell, after ssh has replaced what begins with a percent sign.
    proxy = shlex.join([sys.executable, "-I", "-S", str(_DOOR), str(door)]).replace("%", "%%")
    options = [
        *_FIXED,
        f"ProxyCommand={proxy}",
        f"UserKnownHostsFile={_quoted(server.known_hosts)}",
    ]
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(folder)}
    if server.key_file is not None:
        options += ["PreferredAuthentications=publickey", "BatchMode=yes"]
        options.append(f"IdentityFile={_quoted(server.key_file)}")
    else:
        options += ["PreferredAuthentications=password", "PubkeyAuthentication=no"]
        environment |= _asking(server.password or "", folder)
    arguments = [part for option in options for part in ("-o", option)]
    who = ("-p", str(server.port), "-l", server.user, "-s", "--", server.host, "sftp")
    return subprocess.Popen(
        [program, "-F", "none", *arguments, *who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        bufsize=0,
    )


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    """Return one of the pipes of the process, which has them all."""
    if stream is None:
        raise SourceError("ssh could not be started")
    return stream


def _quoted(path: Path) -> str:
    """Return a path as ssh reads paths in options. Raises ``OSError`` for one it cannot read."""
    text = str(path.absolute())
    if '"' in text or "\n" in text or "${" in text:
        raise OSError("the path holds what ssh takes for something else")
    return '"' + text.replace("%", "%%") + '"'


def _asking(password: str, folder: Path) -> dict[str, str]:
    """Return the environment in which ssh gets the password."""
    program = folder / "ask"
    with os.fdopen(os.open(program, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "w") as file:
        file.write(_ASK)
    return {
        "SSH_ASKPASS": str(program),
        "SSH_ASKPASS_REQUIRE": "force",
        "RAGPLATFORM_SSH_PASSWORD": password,
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
