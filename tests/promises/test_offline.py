"""No process of ours opens a connection outside the allowed networks, as the kernel saw it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

needs_strace = pytest.mark.skipif(
    not shutil.which("strace"), reason="strace is not installed: it shows what the kernel saw"
)
needs_model = pytest.mark.skipif(
    not (ROOT / "var/models/all-minilm-l6-v2").is_dir(),
    reason="needs the encoder: run ragplatform models provision all-minilm-l6-v2",
)


def environment(tmp_path, **more):
    return {
        **os.environ,
        "RAGPLATFORM_DATA_DIR": str(tmp_path / "data"),
        "RAGPLATFORM_MODELS_DIR": str(ROOT / "var/models"),
        "RAGPLATFORM_POLICIES_DIR": str(ROOT / "policies"),
        **more,
    }


def foreign(trace):
    """Return the connections of a trace that leave this host."""
    found = []
    for line in trace.splitlines():
        match = re.search(r"(?:connect|sendto|sendmsg)\(.*sa_family=(AF_\w+)(.*)", line)
        if not match or match[1] in {"AF_UNIX", "AF_NETLINK", "AF_UNSPEC"}:
            continue
        if not re.search(r'inet_addr\("127\.|"::1"', match[2]):
            found.append(line)
    return found


def traced(tmp_path, *command):
    return ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o",
            str(tmp_path / "trace"), *map(str, command)]  # fmt: skip


def test_the_reader_of_traces_sees_a_foreign_connection():
    line = '12 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}'
    near = '12 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.1")}'

    assert foreign(line) == [line]
    assert foreign(near) == []


@needs_strace
@needs_model
@pytest.mark.slow
def test_ingest_connects_to_nothing_but_this_host(tmp_path):
    env = environment(tmp_path)
    subprocess.run([BIN / "ragplatform", "init"], env=env, check=True, capture_output=True)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("Write to nurse@example.org about the potassium of 4.1 mmol/L.")
    (folder / "b.html").write_text("<p>See <img src='http://192.0.2.9/x.png'> the ward.</p>")
    run = traced(tmp_path, BIN / "ragplatform-ingest", "run", folder, "--tenant", "mercy",
                 "--collection", "clinical", "--json")  # fmt: skip

    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=280, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert foreign((tmp_path / "trace").read_text()) == []


@needs_strace
@needs_model
@pytest.mark.slow
def test_the_service_connects_to_nothing_but_this_host(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = environment(tmp_path, RAGPLATFORM_PORT=str(port))
    subprocess.run([BIN / "ragplatform", "init"], env=env, check=True, capture_output=True)
    made = subprocess.run(
        [BIN / "ragplatform", "keys", "create", "dr", "--tenant", "mercy", "--roles", "physician",
         "--json"], env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    key = made.stdout.split('"key": "')[1].split('"')[0]

    command = traced(tmp_path, BIN / "ragplatform", "serve")
    serve = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        answer = _ask(port, key)
    finally:
        # strace does not pass the signal on to what it traces: the whole group is told.
        os.killpg(serve.pid, signal.SIGTERM)
        serve.wait(60)

    assert "403" in answer.splitlines()[0]
    assert foreign((tmp_path / "trace").read_text()) == []


def _ask(port, key):
    body = b'{"question": "What does nurse@example.org say?", "purpose": "TREAT"}'
    head = (
        f"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    deadline = time.monotonic() + 200
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as connection:
                connection.sendall(head.encode() + body)
                parts = []
                while part := connection.recv(65536):
                    parts.append(part)
                return b"".join(parts).decode()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
