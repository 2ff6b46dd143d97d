"""The demo, every step of it, on real parts, in a network that has nothing but loopback."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Debian's images may lack `ip`; the ioctl does the same (SIOCSIFFLAGS, IFF_UP).
UP = (
    "import fcntl, os, socket, struct, sys;"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
    "fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 1));"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def isolated(command):
    """Return the command as it runs with loopback alone, where that is permitted."""
    for wrap in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and not subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode
        ):
            return [*wrap, sys.executable, "-c", UP, *command]
    return command


def model_servers() -> set[str]:
    """Return the process numbers of the vLLM servers that run now."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"vllm.entrypoints" in (process / "cmdline").read_bytes():
                found.add(process.name)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not (ROOT / ".venv-vllm").is_dir(), reason="needs vLLM: run script/setup --vllm"
)
def test_every_step_of_the_demo_ends_as_it_must_without_any_network():
    command = isolated([sys.executable, "-m", "demo.tour", "--check"])
    running = model_servers()

    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=880, check=False
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "demo check passed" in done.stdout
    assert model_servers() <= running, "the demo's model server was left running"
