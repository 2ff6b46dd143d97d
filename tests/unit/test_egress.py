"""The seal refuses what leaves the allowed networks; tried in processes of their own."""

import subprocess
import sys

import pytest

from ragplatform import egress
from ragplatform.errors import ConfigurationError, EgressBlockedError


def sealed(code, *networks):
    """Run code in a fresh process that is sealed first; return what it printed."""
    program = (
        "from ragplatform import egress\n"
        "import socket\n"
        f"egress.seal(egress.Allowed.of({list(networks)!r}), lambda host: print('told', host))\n"
        + code
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_every_usual_way_out_is_blocked_and_told():
    shown = sealed("for a in egress.self_test(): print(a.blocked, a.what)")

    assert "False" not in shown
    assert shown.count("True") == 4
    assert shown.count("told") == 4


@pytest.mark.parametrize(
    "code",
    [
        "socket.create_connection(('192.0.2.1', 80), 1)",
        "socket.socket().connect_ex(('192.0.2.1', 80))",
        "socket.getaddrinfo('exfil.invalid', 80)",
        "socket.gethostbyname('exfil.invalid')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 9))",
        "socket.socket(socket.AF_INET6).connect(('::ffff:192.0.2.1', 80))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b''], [], 0, ('192.0.2.1', 9))",
    ],
)
def test_no_spelling_of_a_foreign_address_passes(code):
    assert "EgressBlockedError" in sealed(code)


@pytest.mark.parametrize(
    "code",
    [
        "s = socket.socketpair(); s[0].sendall(b'x'); print('through')",
        "l = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(l.getsockname()); print('through')",
        "socket.getaddrinfo('localhost', 80); print('through')",
    ],
)
def test_loopback_and_local_sockets_pass(code):
    assert "through" in sealed(code)


def test_a_process_cannot_be_sealed_anew_to_other_networks():
    shown = sealed("egress.seal(egress.Allowed.of(['10.0.0.0/8']))")

    assert "sealed to other networks" in shown


@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "0.0.0.0/1", "::/0", "8.8.8.0/24", "nonsense", "10.0.0.1/8"]
)
def test_a_network_that_is_no_private_range_is_refused(network):
    with pytest.raises(ConfigurationError, match="allowed network"):
        egress.Allowed.of([network])


def test_only_listed_names_may_be_looked_up():
    allowed = egress.Allowed.of(["10.0.0.0/8"], ["http://vllm:8000/v1", "http://10.0.0.7:6333"])

    assert allowed.permits_host("vllm")
    assert allowed.permits_host("VLLM.")
    assert allowed.permits_host("10.9.8.7")
    assert not allowed.permits_host("vllm.example.org")
    assert not allowed.permits_host("11.0.0.1")
    assert not allowed.permits_host("::ffff:11.0.0.1")


@pytest.mark.parametrize("name", egress.FORBIDDEN_SWITCHES)
def test_a_variable_that_phones_home_stops_the_start(name):
    with pytest.raises(ConfigurationError, match=name):
        egress.check_environment({name: "true"})

    egress.check_environment({name: "false"})
    egress.check_environment({name: ""})


async def _fetch(url):
    async with egress.async_client(egress.Allowed.of([]), timeout_s=1) as client:
        await client.get(url)


def test_the_http_client_refuses_by_itself_also_in_an_unsealed_process():
    import asyncio

    with pytest.raises(EgressBlockedError):
        asyncio.run(_fetch("http://192.0.2.1/"))


def test_the_http_client_ignores_proxies_of_the_environment(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    client = egress.async_client(egress.Allowed.of([]), timeout_s=1)

    assert client.trust_env is False
