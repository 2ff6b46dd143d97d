"""Opens the sources on other machines' protocols from their tables of ``sources.toml``."""

from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx2

from ingest.sources.fhir import Fhir, FhirOptions
from ingest.sources.fhir_bulk import BulkExport, export_path
from ingest.sources.fhir_http import Credential, FhirServer, NoCredential, Origins
from ingest.sources.fhir_smart import BackendServices, Bearer, read_key
from ingest.sources.imap import Mailboxes
from ingest.sources.imap_wire import Imap, ImapLogin
from ingest.sources.kind import Reach, SourceKind
from ingest.sources.options import Options
from ingest.sources.sftp import SftpFolder
from ingest.sources.sftp_wire import Sftp
from ingest.sources.ssh import SshServer, opened
from ragplatform.egress import client, tls_context
from ragplatform.errors import ConfigurationError

_FHIR_KEYS: Final = frozenset(
    "level types token_file token_env client_id key_file key_id scope token_url files_from "
    "ca_file deletions full_every_days largest_export_mb patience_s attachments".split()
)
_SFTP_KEYS: Final = frozenset("user key_file password_file password_env known_hosts".split())
_IMAP_KEYS: Final = frozenset(
    "user password_file password_env token_file token_env ca_file folders".split()
)
_MB: Final = 1024 * 1024
_DELETIONS: Final = ("", "manifest", "history", "full")
_SILENCE_S: Final = 60.0


def _check_fhir(place: str, options: Options) -> None:
    """Raise ``ConfigurationError`` for a table that cannot be a FHIR source."""
    _origins(place, options)
    fhir = _fhir_options(options)
    if _level(options) != "search":
        export_path(_level(options))
    elif not fhir.types:
        raise ConfigurationError(f"{options.where}: level = 'search' needs types")
    _patience_s(options)
    has_token = any(options.text(key, "") for key in ("token_file", "token_env"))
    if options.text("client_id", "") and (has_token or not options.file("key_file")):
        raise ConfigurationError(
            f"{options.where}: client_id goes with key_file, and without token_file or token_env"
        )


def _open_fhir(place: str, options: Options, reach: Reach) -> Fhir:
    """Return a FHIR source."""
    origins = _origins(place, options)
    made = client(reach.allowed, timeout_s=_SILENCE_S, tls=tls_context(options.file("ca_file")))
    server = FhirServer(
        origins=origins, client=made, credential=_credential(options, origins, made)
    )
    fhir, level = _fhir_options(options), _level(options)
    export = None
    if level != "search":
        export = BulkExport(
            server=server, level=level, types=fhir.types, patience_s=_patience_s(options)
        )
    return Fhir(server=server, export=export, options=fhir)


def _fhir_urls(place: str, options: Options) -> tuple[str, ...]:
    """Return the addresses of every server that the source may ask."""
    token_url = options.text("token_url", "")
    return (place, *options.texts("files_from"), *((token_url,) if token_url else ()))


def _origins(place: str, options: Options) -> Origins:
    try:
        return Origins(place, _fhir_urls(place, options)[1:])
    except ConfigurationError as error:
        raise ConfigurationError(f"{options.where}: {error}") from error


def _level(options: Options) -> str:
    return options.text("level", "system")


def _patience_s(options: Options) -> float:
    return options.number("patience_s", 6 * 3600, least=1, most=7 * 24 * 3600)


def _fhir_options(options: Options) -> FhirOptions:
    largest = options.number("largest_export_mb", 64 * 1024, least=1, most=1024 * 1024)
    return FhirOptions(
        types=options.texts("types"),
        deletions=options.choice("deletions", "", _DELETIONS),
        full_every_days=int(options.number("full_every_days", 30, least=0, most=3650)),
        largest_export=int(largest * _MB),
        attachments=options.flag("attachments", default=True),
    )


def _credential(options: Options, origins: Origins, made: httpx2.Client) -> Credential:
    client_id, key_file = options.text("client_id", ""), options.file("key_file")
    if client_id and key_file:
        key = read_key(key_file)
        return BackendServices(
            client_id=client_id,
            key=key,
            key_id=options.text("key_id", key.thumbprint()),
            scope=options.text("scope", "system/*.rs"),
            token_url=options.text("token_url", ""),
            origins=origins,
            client=made,
        )
    if options.secret("token") is None:
        return NoCredential()
    return Bearer(_asking(options, "token"))


def _asking(options: Options, name: str) -> Callable[[], str]:
    """Return what reads a secret anew each time: whoever rotates it needs no restart."""
    return lambda: options.secret(name) or ""


def _check_sftp(place: str, options: Options) -> None:
    """Raise ``ConfigurationError`` for a table that cannot be an SFTP source."""
    _ssh_server(place, options, password="named, not read")  # noqa: S106


def _open_sftp(place: str, options: Options, reach: Reach) -> SftpFolder:
    """Return an SFTP source."""

    def connect() -> tuple[Sftp, Callable[[], None]]:
        return opened(
            _ssh_server(place, options, password=options.secret("password")), reach.allowed
        )

    return SftpFolder(connect=connect, root=unquote(urlsplit(place).path) or "/")


def _ssh_server(place: str, options: Options, *, password: str | None) -> SshServer:
    host, port = _address(place, options, "sftp", 22)
    named = any(options.text(key, "") for key in ("password_file", "password_env"))
    return SshServer(
        host=host,
        port=port,
        user=options.text("user"),
        known_hosts=Path(options.text("known_hosts")),
        key_file=options.file("key_file"),
        password=password if named else None,
    )


def _check_imap(place: str, options: Options) -> None:
    """Raise ``ConfigurationError`` for a table that cannot be an IMAP source."""
    _address(place, options, "imaps", 993)
    options.text("user")
    options.texts("folders")
    named = [
        any(options.text(f"{secret}_{kind}", "") for kind in ("file", "env"))
        for secret in ("password", "token")
    ]
    if sum(named) != 1:
        raise ConfigurationError(
            f"{options.where}: give password_file, password_env, token_file or token_env"
        )
    if urlsplit(place).path not in {"", "/"}:
        raise ConfigurationError(f"{options.where}: mailboxes are named by folders, not by place")


def _open_imap(place: str, options: Options, reach: Reach) -> Mailboxes:
    """Return an IMAP source."""
    host, port = _address(place, options, "imaps", 993)
    named = options.secret("token") is not None
    login = ImapLogin(
        options.text("user"),
        password=None if named else _asking(options, "password"),
        token=_asking(options, "token") if named else None,
    )
    tls = tls_context(options.file("ca_file"))

    def connect() -> Imap:
        return Imap(allowed=reach.allowed, host=host, port=port, tls=tls, login=login)

    return Mailboxes(connect=connect, folders=options.texts("folders", ("INBOX",)))


def _address(place: str, options: Options, scheme: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(place)
        host, found = parts.hostname or "", parts.port or port
    except ValueError:
        parts, host, found = urlsplit(""), "", 0
    if parts.scheme != scheme or not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{options.where}: place is an address {scheme}://host[:port]")
    return host, found


FHIR: Final = SourceKind(
    keys=_FHIR_KEYS, check=_check_fhir, url=lambda place, _: place, open=_open_fhir
)
SFTP: Final = SourceKind(
    keys=_SFTP_KEYS, check=_check_sftp, url=lambda place, _: place, open=_open_sftp
)
IMAP: Final = SourceKind(
    keys=_IMAP_KEYS, check=_check_imap, url=lambda place, _: place, open=_open_imap
)
