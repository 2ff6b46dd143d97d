"""The seal that keeps this process inside the allowed networks, and the only maker of HTTP clients.

The seal is a tripwire inside the process: it refuses and reports what Python code tries. The wall
is outside the process, in the container network or network namespace. Native code that opens
sockets by itself (gRPC, a C extension) passes the tripwire and meets only the wall.
"""

import contextlib
import ipaddress
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from ragplatform.errors import ConfigurationError, EgressBlockedError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: Final[tuple[str, ...]] = ("127.0.0.0/8", "::1/128")

# Each of these makes a library that we depend on send traces, usage figures or model look-ups out.
FORBIDDEN_SWITCHES: Final[tuple[str, ...]] = (
    "LANGSMITH_TRACING",
    "LANGSMITH_TRACING_V2",
    "LANGCHAIN_TRACING",
    "LANGCHAIN_TRACING_V2",
    "LANGSMITH_API_KEY",
    "LANGCHAIN_API_KEY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
)

# An empty list of suffix URLs keeps tldextract, inside Presidio's e-mail recogniser, from fetching.
QUIET_ENVIRONMENT: Final[Mapping[str, str]] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS": "",
    "TOKENIZERS_PARALLELISM": "false",
}


# The widest private ranges there are. Source: RFC 1918, section 3; RFC 4193, section 3.1.
_WIDEST: Final[Mapping[int, int]] = {4: 8, 6: 7}


@dataclass(frozen=True, slots=True)
class Allowed:
    """Where this process may connect: networks by address, and the names that may be looked up.

    A name look-up is itself a way out (the name is the message), so names are listed too.
    """

    networks: tuple[Network, ...]
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, networks: Iterable[str], urls: Iterable[str] = ()) -> "Allowed":
        """Return the loopback networks, ``networks`` in CIDR form, and the host names of ``urls``.

        Raises ``ConfigurationError`` for a malformed network or one that spans the internet.
        """
        parsed = []
        for text in (*LOOPBACK, *networks):
            try:
                network = ipaddress.ip_network(text, strict=True)
            except ValueError as error:
                raise ConfigurationError(f"allowed network {text!r}: {error}") from error
            if network.prefixlen < _WIDEST[network.version] or not network.is_private:
                raise ConfigurationError(
                    f"allowed network {text!r} reaches the internet: name your private ranges"
                )
            parsed.append(network)
        hosts = {host.lower() for url in urls if (host := urlsplit(url).hostname)}
        names = {host for host in hosts if _address(host) is None}
        return cls(tuple(parsed), frozenset(names | {"localhost"}))

    def permits_host(self, host: str) -> bool:
        """Return whether ``host``, an address or a name, may be connected to or looked up."""
        address = _address(host)
        if address is None:
            return host.lower().rstrip(".") in self.names
        return self.permits_address(address)

    def permits_address(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Return whether the address lies in an allowed network."""
        mapped = getattr(address, "ipv4_mapped", None)
        # ::ffff:93.184.216.34 reaches an IPv4 host: judge it as the IPv4 address that it is.
        address = mapped or address
        return any(address.version == n.version and address in n for n in self.networks)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.split("%", 1)[0])
    return None


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse to start while a variable is set that makes a library phone home.

    Raises ``ConfigurationError`` naming every such variable.
    """
    off = {"", "0", "false", "no", "off"}
    found = [n for n in FORBIDDEN_SWITCHES if environment.get(n, "").strip().lower() not in off]
    if found:
        raise ConfigurationError(
            f"{', '.join(found)} would send records out of the network: unset and start again"
        )


def quiet(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the switches that keep the libraries at hand from looking for a network."""
    environment.update(QUIET_ENVIRONMENT)


_CONNECTING: Final = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.connect_ex"}
)
_RESOLVING: Final = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)


class _Seal:
    """The one audit hook of the process. Audit hooks cannot be removed: that is their use."""

    def __init__(self) -> None:
        self.allowed: Allowed | None = None
        self.on_blocked: Callable[[str], None] | None = None
        self._reporting = threading.local()

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.allowed is None or not event.startswith("socket."):
            return
        if event in _CONNECTING:
            self._connecting(args)
        elif event in _RESOLVING:
            self._resolving(args[0])

    def _connecting(self, args: tuple[object, ...]) -> None:
        if isinstance(args[0], socket.socket) and args[0].family == socket.AF_UNIX:
            return
        # sendto on a connected socket carries no address: connect was judged before.
        address = args[-1] if len(args) > 1 else None
        if address is None:
            return
        host = address[0] if isinstance(address, tuple) and address else address
        self._judge(host)

    def _resolving(self, target: object) -> None:
        # getnameinfo gives a socket address; a look-up of None means this host.
        host = target[0] if isinstance(target, tuple) and target else target
        if host is not None and host != "":
            self._judge(host)

    def _judge(self, host: object) -> None:
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(text, str) and self.allowed and self.allowed.permits_host(text):
            return
        self._report(str(text))
        raise EgressBlockedError(
            f"blocked a connection to {text}: it is outside the allowed networks"
        )

    def _report(self, host: str) -> None:
        if self.on_blocked is None or getattr(self._reporting, "active", False):
            return
        self._reporting.active = True
        try:
            self.on_blocked(host)
        finally:
            self._reporting.active = False


_SEAL = _Seal()
_SEAL_LOCK = threading.Lock()


def seal(allowed: Allowed, on_blocked: Callable[[str], None] | None = None) -> None:
    """Refuse, from now to the end of the process, every connection outside ``allowed``.

    ``on_blocked`` is told the host of each refused attempt, before the error is raised. Sealing
    again may change who is told, never where one may go.

    Raises ``ConfigurationError`` if the process is sealed to other networks already, or if it runs
    on uvloop, under which Python's ``socket.connect`` event never fires.
    """
    if "uvloop" in sys.modules:
        raise ConfigurationError("uvloop hides connections from the seal: run with --loop asyncio")
    with _SEAL_LOCK:
        if _SEAL.allowed is None:
            _SEAL.allowed = allowed
            sys.addaudithook(_SEAL)
        elif _SEAL.allowed != allowed:
            raise ConfigurationError("this process is sealed to other networks already")
        _SEAL.on_blocked = on_blocked or _SEAL.on_blocked


def sealed() -> bool:
    """Return whether this process is sealed."""
    return _SEAL.allowed is not None


def async_client(
    allowed: Allowed, *, timeout_s: float, connect_timeout_s: float = 5.0
) -> httpx2.AsyncClient:
    """Return an HTTP client that reaches only ``allowed``, uses no proxy and follows no redirect.

    Proxies from the environment are ignored: a proxy would carry the traffic out for us.
    """

    async def judge(request: httpx2.Request) -> None:
        _require_allowed(allowed, request)

    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(timeout_s, connect=connect_timeout_s),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [judge]},
    )


def client(
    allowed: Allowed, *, timeout_s: float, tls: ssl.SSLContext | None = None
) -> httpx2.Client:
    """Return the same for code that waits: only ``allowed``, no proxy, no redirect followed.

    ``tls`` says whom to trust and who we are; None trusts what the system trusts.
    """

    return httpx2.Client(
        timeout=timeout_s,
        verify=True if tls is None else tls,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [partial(_require_allowed, allowed)]},
    )


def _require_allowed(allowed: Allowed, request: httpx2.Request) -> None:
    if not allowed.permits_host(request.url.host):
        raise EgressBlockedError(
            f"blocked a request to {request.url.host}: it is outside the allowed networks"
        )


def tls_context(
    ca_file: Path | None, *, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Return how to speak TLS 1.2 or newer: the server's certificate and name are verified.

    ``ca_file`` holds the authorities that are trusted, in PEM; None trusts those of the system.
    The other two prove who we are, where a server asks. Raises ``ConfigurationError`` when a file
    cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(file) for file in (ca_file, cert_file, key_file) if file)
        raise ConfigurationError(f"{files}: cannot be used for TLS: {error}") from error
    return context


def tcp_connection(allowed: Allowed, host: str, port: int, *, timeout_s: float) -> socket.socket:
    """Return a plain connection to a server in ``allowed``, by its name and by its address.

    Raises ``EgressBlockedError`` for a host outside, also when a permitted name leads there,
    ``OSError`` when it does not answer.
    """
    if not allowed.permits_host(host):
        raise _outside(host)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found if allowed.permits_host(str(one[4][0]))]
    if not addresses:
        raise _outside(host)
    error: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=timeout_s)
        except OSError as refused:
            error = refused
    raise error or OSError("no address answers")


def tls_connection(
    allowed: Allowed, host: str, port: int, *, tls: ssl.SSLContext, timeout_s: float
) -> ssl.SSLSocket:
    """Return a connection to a server in ``allowed`` whose certificate was verified.

    Raises ``EgressBlockedError`` for a host outside, ``OSError`` when it does not answer or proves
    to be another one.
    """
    plain = tcp_connection(allowed, host, port, timeout_s=timeout_s)
    try:
        return tls.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _outside(host: str) -> EgressBlockedError:
    return EgressBlockedError(f"blocked a connection to {host}: it is outside the allowed networks")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of the self-test to get out, and whether the seal stopped it."""

    what: str
    blocked: bool


def self_test() -> list[Attempt]:
    """Try to leave in the usual ways and report which attempts the seal stopped.

    Uses addresses that route nowhere (RFC 5737, RFC 3849) and a name that cannot exist (RFC 6761),
    so that a missing seal does no harm. Call it only in a sealed process.
    """
    return [
        Attempt("TCP connection to 192.0.2.1:443", _blocked(_connect, "192.0.2.1")),
        Attempt("TCP connection to [2001:db8::1]:443", _blocked(_connect, "2001:db8::1")),
        Attempt("UDP packet to 198.51.100.1:53", _blocked(_send, "198.51.100.1")),
        Attempt("name look-up of exfil.invalid", _blocked(_resolve, "exfil.invalid")),
    ]


def _blocked(act: Callable[[str], None], host: str) -> bool:
    try:
        act(host)
    except EgressBlockedError:
        return True
    except OSError:
        return False
    return False


def _connect(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect((host, 443))


def _send(host: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"", (host, 53))


def _resolve(host: str) -> None:
    socket.getaddrinfo(host, 443)
