"""A certificate authority for tests, and a syslog receiver that takes nothing that is not right."""

import datetime as dt
import ipaddress
import re
import socket
import ssl
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """An authority with its root certificate in a file; it issues certificates to servers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA {folder.name}")])
        self.root = self._certificate(self._name, self._key, ca=True)
        self.root_file = folder / "root.pem"
        self.root_file.write_bytes(self.root.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, stamping: bool = False) -> tuple[Path, Path]:
        """Return the files of a certificate and its key, for a server or a stamping authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._certificate(subject, key, stamping=stamping)
        cert_file, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert_file, key_file

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        stamping: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(_usage(ca=ca), critical=True)
        )
        if not ca:
            use = ExtendedKeyUsageOID.TIME_STAMPING if stamping else ExtendedKeyUsageOID.SERVER_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=True)
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


class SyslogReceiver:
    """Listens with TLS and reads frames as RFC 5425 writes them; ``cut_after`` bytes it dies."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.messages: list[bytes] = []
        self.problems: list[str] = []
        self.cut_after: int | None = None
        self.cut = threading.Event()
        self.answers_close = True
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue("localhost"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closing = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def wait_for(self, count: int, *, at_most_s: float = 15.0) -> bool:
        """Return whether so many messages came in time."""
        until = time.monotonic() + at_most_s
        while len(self.messages) < count and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.messages) >= count

    def close(self) -> None:
        """Stop listening; every frame must have been right."""
        self._closing = True
        self._listener.close()
        with socket.socket() as waker:
            waker.settimeout(1)
            waker.connect_ex(("127.0.0.1", self.port))
        self._thread.join()
        assert self.problems == []

    def _serve(self) -> None:
        while not self._closing:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain:
                plain.settimeout(10)
                self._connection(plain)

    def _connection(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                self._read(connection)
        except OSError:
            return

    def _read(self, connection: ssl.SSLSocket) -> None:
        data = b""
        while piece := connection.recv(4096):
            data += piece
            if self.cut_after is not None and len(data) > self.cut_after:
                self._take(data[: self.cut_after], whole=False)
                # A killed process resets: what it had not read is gone.
                connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                )
                self.cut.set()
                return
        self._take(data, whole=True)
        if self.answers_close:
            connection.unwrap()

    def _take(self, data: bytes, *, whole: bool) -> None:
        while data:
            match = re.match(rb"([1-9][0-9]*) ", data)
            if match is None or len(data) < match.end() + int(match[1]):
                if whole:
                    self.problems.append("a frame is not in order")
                return
            end = match.end() + int(match[1])
            self.messages.append(data[match.end() : end])
            data = data[end:]
