"""Servers of other machines' protocols, each a real one as a process of its own, on loopback."""

import atexit
import base64
import importlib.util
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar, cast

import pytest

from ingest.sources.fhir import Fhir, FhirOptions
from ingest.sources.fhir_bulk import BulkExport
from ingest.sources.fhir_http import FhirServer, NoCredential, Origins
from ingest.sources.imap import Mailboxes
from ingest.sources.imap_wire import Imap, ImapLogin
from ingest.sources.port import Source
from ingest.sources.sftp import SftpFolder
from ingest.sources.sftp_wire import Sftp
from ingest.sources.ssh import SshServer, opened
from ragplatform.egress import Allowed, client, tls_context
from tests.fhir_server import FhirProcess
from tests.imap_process import PASSWORD, USER, ImapProcess, dovecot_runs
from tests.ssh_process import SftpProcess, sshd_runs


def require(package: str, module: str) -> None:
    """Skip the test where a server's package is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the package {package} is not installed (script/setup)")


class ReadAs(bytes):
    """Content as it is found in a document that says more than it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and base64.b64encode(self) in other

    def __hash__(self) -> int:
        return super().__hash__()


class Running(Protocol):
    """A server as a process."""

    def stop(self) -> None:
        """End it."""


_RUNNING: dict[str, Running] = {}
_Server = TypeVar("_Server", bound=Running)


def running(kind: str, start: Callable[[Path], _Server]) -> _Server:
    """Return the server of a kind that runs already, or another if it was stopped.

    Starting one takes longer than most tests.
    """
    if kind not in _RUNNING:
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        _RUNNING[kind] = start(folder)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return cast("_Server", _RUNNING[kind])


def stop(kind: str) -> None:
    """End the server of a kind."""
    if kind in _RUNNING:
        _RUNNING.pop(kind).stop()


@atexit.register
def _stop_all() -> None:
    for kind in list(_RUNNING):
        stop(kind)


def fhir_source(base: str, level: str, options: FhirOptions | None = None) -> Fhir:
    """Return a source over a server that asks nobody who they are."""
    options = options or FhirOptions()
    origins = Origins(base)
    server = FhirServer(
        origins=origins, client=client(Allowed.of([]), timeout_s=20), credential=NoCredential()
    )
    export = (
        None
        if level == "search"
        else BulkExport(server=server, level=level, types=options.types, patience_s=60)
    )
    return Fhir(server=server, export=export, options=options)


class FhirWorld:
    """Document references on a FHIR server, whose attachments hold the content."""

    is_snapshot = True

    def __init__(self, level: str) -> None:
        require("sekmet-fhir", "sekmet")
        self._level = level
        self._server = running("fhir", FhirProcess)
        self._server.clear("DocumentReference")

    def put(self, key: str, data: bytes) -> None:
        attachment = {"contentType": "text/plain", "data": base64.b64encode(data).decode()}
        self._server.put(
            {
                "resourceType": "DocumentReference",
                "id": key,
                "status": "current",
                "content": [{"attachment": attachment}],
            }
        )

    def remove(self, key: str) -> None:
        self._server.delete(f"DocumentReference/{key}")

    def name(self, key: str) -> str:
        return f"DocumentReference/{key}.json"

    def content(self, data: bytes) -> bytes:
        return ReadAs(data)

    def source(self) -> Source:
        options = FhirOptions(types=("DocumentReference",))
        return fhir_source(self._server.base, self._level, options)

    def go_away(self) -> None:
        stop("fhir")


@contextmanager
def fhir_export(_: Path) -> Iterator[FhirWorld]:
    """Give a FHIR server, by bulk export."""
    yield FhirWorld("system")


@contextmanager
def fhir_search(_: Path) -> Iterator[FhirWorld]:
    """Give a FHIR server, by search and history."""
    yield FhirWorld("search")


def sftp_source(
    server: SftpProcess, root: Path | None = None, *, password: str | None = None
) -> SftpFolder:
    """Return a source over a folder of the server, the home of its user for none."""
    known = SshServer(
        host="127.0.0.1",
        port=server.port,
        user=server.user,
        known_hosts=server.known_hosts,
        key_file=None if password else server.client_key.file,
        password=password,
    )

    def connect() -> tuple[Sftp, Callable[[], None]]:
        return opened(known, Allowed.of([]))

    # By this clock every file is young, however long a test takes on a busy machine.
    return SftpFolder(connect=connect, root=str(root or server.home), now=lambda: 0.0)


class SftpWorld:
    """A folder on an SFTP server; the test reaches it on the disk that is both's."""

    is_snapshot = False

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.server = running(f"sftp-{kind}", lambda folder: SftpProcess(folder, kind))
        self._root = Path(tempfile.mkdtemp(dir=self.server.home))

    def put(self, key: str, data: bytes) -> None:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.part")
        fresh.write_bytes(data)
        fresh.replace(path)

    def remove(self, key: str) -> None:
        (self._root / key).unlink()

    def name(self, key: str) -> str:
        return key

    def content(self, data: bytes) -> bytes:
        return data

    def source(self) -> Source:
        return sftp_source(self.server, self._root)

    def go_away(self) -> None:
        stop(f"sftp-{self._kind}")


@contextmanager
def sftp(_: Path) -> Iterator[SftpWorld]:
    """Give an SFTP server of a package."""
    require("twisted", "twisted")
    yield SftpWorld("conch")


@contextmanager
def sftp_openssh(_: Path) -> Iterator[SftpWorld]:
    """Give OpenSSH's server, where it is installed."""
    if why := sshd_runs():
        pytest.skip(why)
    yield SftpWorld("openssh")


def imap_source(server: ImapProcess, folders: tuple[str, ...] = ("INBOX",)) -> Mailboxes:
    """Return a source over mailboxes of the server's user."""
    login = ImapLogin(USER, password=lambda: PASSWORD, token=None)

    def connect() -> Imap:
        return Imap(
            allowed=Allowed.of([]),
            host="localhost",
            port=server.port,
            tls=tls_context(server.ca_file),
            login=login,
        )

    return Mailboxes(connect=connect, folders=folders)


def mail_of(data: bytes) -> bytes:
    """Return a message that holds the data."""
    headers = b"From: Ward 7 <ward7@hospital.example>\r\nTo: archive@hospital.example\r\n"
    return headers + b"Subject: a letter\r\n\r\n" + data + b"\r\n"


class ImapWorld:
    """A mailbox of an IMAP server's user."""

    is_snapshot = False

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.server = running(f"imap-{kind}", lambda folder: ImapProcess(folder, kind))
        self._folder = f"w-{uuid.uuid4().hex}"
        self.server.client.create(self._folder)
        self._names: dict[str, str] = {}

    def put(self, key: str, data: bytes) -> None:
        if key in self._names:
            self.remove(key)
        self._names[key] = self.server.put(mail_of(data), self._folder)

    def remove(self, key: str) -> None:
        self.server.remove(self._names[key], self._folder)

    def name(self, key: str) -> str:
        return f"{self._folder}/{self._names[key]}.eml"

    def content(self, data: bytes) -> bytes:
        return mail_of(data)

    def source(self) -> Source:
        return imap_source(self.server, (self._folder,))

    def go_away(self) -> None:
        stop(f"imap-{self._kind}")


@contextmanager
def imap(_: Path) -> Iterator[ImapWorld]:
    """Give an IMAP server of a package."""
    require("pymap", "pymap")
    yield ImapWorld("pymap")


@contextmanager
def imap_dovecot(_: Path) -> Iterator[ImapWorld]:
    """Give Dovecot, where it is installed: it counts changes and tells what is no more."""
    if why := dovecot_runs():
        pytest.skip(why)
    yield ImapWorld("dovecot")


REMOTE_WORLDS = {
    "imap": imap,
    "imap-dovecot": imap_dovecot,
    "sftp": sftp,
    "sftp-openssh": sftp_openssh,
    "fhir-export": fhir_export,
    "fhir-search": fhir_search,
}
