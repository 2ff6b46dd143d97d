"""No source reaches past the seal: not by its address, by a name that leads away, nor by ssh."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = {
    "sftp": """
from ingest.sources.ssh import SshServer, opened
server = SshServer(host={host!r}, port=22, user="a", known_hosts=Path("k"), key_file=Path("k"))
def reach(allowed): opened(server, allowed)
""",
    "imap": """
import ssl
from ingest.sources.imap_wire import Imap, ImapLogin
login = ImapLogin("a", password=lambda: "pw", token=None)
def reach(allowed):
    Imap(allowed=allowed, host={host!r}, port=993, tls=ssl.create_default_context(), login=login)
""",
    "fhir": """
from ingest.sources.fhir_http import FhirServer, NoCredential, Origins
origins = Origins("https://{host}/fhir")
def reach(allowed):
    made = egress.client(allowed, timeout_s=2)
    FhirServer(origins=origins, client=made, credential=NoCredential()).ask("metadata")
""",
}
PROGRAM = """
from pathlib import Path
import socket, subprocess
from ragplatform import egress
{source}
allowed = egress.Allowed.of([], ["https://archive.example"])
egress.seal(allowed, lambda host: print("told", host))
started = subprocess.Popen
subprocess.Popen = lambda *given, **named: print("STARTED A PROGRAM")
answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 22))]
if {host!r} == "archive.example":
    socket.getaddrinfo = lambda *given, **named: answer
try:
    reach({allowed})
except BaseException as error:
    print(type(error).__name__)
else:
    print("THROUGH")
"""


def tried(kind: str, host: str, *, allowed: str = "allowed") -> str:
    """Return what a sealed process says that lets a source of the kind reach for the host."""
    program = PROGRAM.format(source=SOURCES[kind].format(host=host), host=host, allowed=allowed)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("host", ["192.0.2.1", "exfil.invalid", "archive.example"])
@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_a_source_on_a_server_outside_the_allowed_networks_is_not_reached(kind, host):
    shown = tried(kind, host)

    assert "EgressBlockedError" in shown
    assert "STARTED" not in shown


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_the_seal_holds_also_where_a_source_forgets_to_ask(kind):
    everywhere = "egress.Allowed.of([], ['https://192.0.2.1'])"
    lax = f"type('Lax', (), {{'permits_host': lambda self, host: {everywhere} is not None}})()"

    shown = tried(kind, "192.0.2.1", allowed=lax)

    assert "EgressBlockedError" in shown
    assert "told 192.0.2.1" in shown
    assert "STARTED" not in shown
