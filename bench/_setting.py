"""What the benchmarks share: the machine's name, a deployment of the demo corpus, its API."""

import contextlib
import http.client
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.tour import COLLECTIONS

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "demo" / "questions.jsonl"
_NAMED = ("torch", "sentence-transformers", "spacy", "presidio-analyzer", "qdrant-edge-py")


def machine() -> dict[str, Any]:
    """Name the machine and what ran on it, with the load that it was under just now."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(":", 1)[1].strip() for line in cpu.splitlines() if "model name" in line]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": models[0] if models else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _NAMED},
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def free_port() -> int:
    """Return a port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Deployment:
    """A deployment in ``folder`` that holds the demo corpus, and its personas' API keys."""

    folder: Path
    keys: Mapping[str, str]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the variables of a deployment in the folder, with more settings by name."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("RAGPLATFORM_")}
    named = {f"RAGPLATFORM_{name.upper()}": value for name, value in settings.items()}
    return {**own, "RAGPLATFORM_DATA_DIR": str(folder), **named}


@contextlib.contextmanager
def demo_deployment(folder: Path | None) -> Iterator[Deployment]:
    """Give a deployment in the folder, or in a temporary one that goes at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        yield make_deployment(folder or Path(temporary) / "data")


def make_deployment(folder: Path) -> Deployment:
    """Take the demo corpus in, with keys for its personas, by the commands that people use.

    What is there already stays; the personas' older keys stop working.
    """
    run(folder, "ragplatform", "init")
    lines = run(folder, "ragplatform", "keys", "import", "demo/personas.toml", "--json")
    keys = {entry["id"]: entry["key"] for entry in map(json.loads, lines.splitlines())}
    for tenant, collection in COLLECTIONS.items():
        where = ["--tenant", tenant, "--collection", collection]
        run(folder, "ragplatform-ingest", "run", f"demo/corpus/{tenant}", *where, "--json")
    return Deployment(folder, keys)


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run a command of the platform; return what it printed. 1 stands for quarantined files."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(f"{program} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


@dataclass(frozen=True)
class Served:
    """The API in a process of its own."""

    port: int
    pid: int


@contextlib.contextmanager
def serving(deployment: Deployment, **settings: str) -> Iterator[int]:
    """Run the API in a process of its own; give its port once it answers questions."""
    with served(deployment, **settings) as api:
        yield api.port


@contextlib.contextmanager
def served(deployment: Deployment, *, module: str = "", **settings: str) -> Iterator[Served]:
    """Run the API as ``serving`` does; give its process too. ``module`` runs in its place."""
    port = free_port()
    own = [str(Path(sys.executable).with_name("ragplatform"))]
    process = subprocess.Popen(
        [*([sys.executable, "-m", module] if module else own), "serve"],
        cwd=ROOT, env=environment(deployment.folder, port=str(port), **settings),
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(process, port)
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.3)
    raise SystemExit("the API did not become ready; its log is above")


def post(connection: http.client.HTTPConnection, path: str, key: str, body: object) -> None:
    """Send one request; the caller reads the response from the connection."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(body).encode(), headers)


def questions(personas: Sequence[str]) -> list[dict[str, Any]]:
    """Return the demo's questions that these personas may ask, in the demo's order."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    return [one for one in asked if one["persona"] in personas and one["kind"] != "denied"]
