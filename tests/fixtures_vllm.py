"""A real vLLM for tests, started once a session on a free port, or one that already runs.

``RAGPLATFORM_TEST_VLLM_URL`` (and ``RAGPLATFORM_TEST_VLLM_MODEL``) name a running one.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragplatform.adapters.gguf_conversion import convert_gguf
from ragplatform.model_manifest import load_manifest
from ragplatform.models import ModelStore

ROOT = Path(__file__).parent.parent
MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True, slots=True)
class VllmServer:
    """Where a real vLLM answers, and the name of its model."""

    base_url: str
    model: str


@pytest.fixture(scope="session")
def vllm_server() -> Iterator[VllmServer]:
    url = os.environ.get("RAGPLATFORM_TEST_VLLM_URL")
    if url:
        yield VllmServer(url, os.environ.get("RAGPLATFORM_TEST_VLLM_MODEL", MODEL))
        return
    if not (ROOT / ".venv-vllm" / ".stamp").is_file():
        pytest.skip("no vLLM here: script/setup --vllm makes .venv-vllm")
    models = ROOT / "var" / "models"
    ModelStore(
        models_dir=models, manifest=load_manifest(), converters={"gguf": convert_gguf}
    ).provision(MODEL)
    port = _free_port()
    try:
        _model_server("--port", port, "--model", str(models / MODEL), "--name", MODEL)
        yield VllmServer(f"http://127.0.0.1:{port}/v1", MODEL)
    finally:
        _model_server("--stop", "--port", port)


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _model_server(*arguments: str) -> None:
    script = ROOT / "script" / "model-server"
    # Into a file descriptor of pytest's own: a pipe would stay open in the server's hands.
    subprocess.run([str(script), *arguments], check=True, stdout=sys.__stderr__, timeout=400)
