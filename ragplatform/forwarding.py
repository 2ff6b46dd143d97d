"""Opens what sends records on to a collector, by the settings."""

import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ragplatform import egress, openers
from ragplatform.audit.export.formats import Format as Name
from ragplatform.audit.forward import Format, Forwarder, Target, as_json, as_line
from ragplatform.audit.forward_file import FileTarget
from ragplatform.audit.forward_syslog import SyslogFormat, SyslogTarget
from ragplatform.audit.storage import Disk
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError

# Without CSV: a row says nothing without its heading.
_OTHERS: Final = (Name.OCSF, Name.ECS, Name.CEF, Name.FHIR_R4, Name.FHIR_R5)

FORMATS: Final[Mapping[str, Format]] = {
    "json": as_json,
    **{str(name): as_line(name) for name in _OTHERS},
}
"""How a record may be written, by the name that the settings give."""

_MIB: Final = 1024 * 1024
# All waiting for a collector: to connect, to take a batch, to say that it was read.
_TIMEOUT_S: Final = 10.0


def open_forwarders(settings: Settings) -> list[Forwarder]:
    """Return what sends records on: one for each target in the settings, none without any.

    Raises ``ConfigurationError`` for a format or file that cannot be used.
    """
    targets: dict[str, Target] = {}
    if settings.forward_syslog:
        targets["syslog"] = _syslog(settings)
    if settings.forward_file is not None:
        targets["file"] = _file(settings, settings.forward_file)
    return [
        Forwarder(
            settings.audit_dir,
            target=target,
            cursor=_cursor(settings, kind, target),
            storage=Disk(),
        )
        for kind, target in targets.items()
    ]


def _cursor(settings: Settings, kind: str, target: Target) -> Path:
    # Another receiver begins at the beginning, so each has a cursor under its own name.
    name = re.sub(r"[^A-Za-z0-9]+", "-", target.name).strip("-")[-80:]
    return settings.data_dir / "forward" / f"{kind}-{name}.json"


def _format(settings: Settings) -> Format:
    if settings.forward_format not in FORMATS:
        raise ConfigurationError(
            f"forward_format {settings.forward_format!r} is unknown: {', '.join(sorted(FORMATS))}"
        )
    return FORMATS[settings.forward_format]


def _file(settings: Settings, path: Path) -> FileTarget:
    return FileTarget(
        path,
        line=_format(settings),
        largest=settings.forward_file_mb * _MIB,
        kept=settings.forward_files_kept,
    )


def _syslog(settings: Settings) -> SyslogTarget:
    host, _, port = settings.forward_syslog.rpartition(":")
    host = host.strip("[]")
    allowed = openers.allowed(settings)
    tls = egress.tls_context(
        settings.forward_ca_file,
        cert_file=settings.forward_cert_file,
        key_file=settings.forward_key_file,
    )

    def connect() -> ssl.SSLSocket:
        return egress.tls_connection(allowed, host, int(port), tls=tls, timeout_s=_TIMEOUT_S)

    form = SyslogFormat(
        _format(settings), host=socket.gethostname(), enterprise=settings.forward_enterprise
    )
    return SyslogTarget(
        f"syslog://{settings.forward_syslog}",
        form=form,
        connect=connect,
        bare_close=settings.forward_bare_close,
    )
