"""The service hands checkpoints over and sends records on, and once more at its end."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ragplatform import wiring
from ragplatform.audit.query import newest_checkpoint
from ragplatform.audit.storage import Disk
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import parse_note
from ragplatform.commands import console, serve
from tests.fakes import Bench


def test_at_its_end_all_that_was_recorded_is_held_elsewhere(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = bench()
    (tmp_path / "held").mkdir()
    settings = one.settings.model_copy(
        update={
            "witness_folders": [str(tmp_path / "held")],
            "witness_interval_s": 3600.0,
            "forward_file": tmp_path / "tail",
            "forward_in_service": True,
        }
    )
    monkeypatch.setattr(console, "settings", lambda: settings)
    monkeypatch.setattr(wiring, "build", lambda _: one.platform)

    def run(app: FastAPI, host: str, port: int) -> None:
        assert (host, port) == (settings.host, settings.port)
        with TestClient(app) as client:
            assert client.get("/livez").status_code == 200

    monkeypatch.setattr(serve, "_run", run)

    serve.serve()

    newest = parse_note(newest_checkpoint(settings.audit_dir / "api"))
    held = HeldCheckpoints(tmp_path / "held", storage=Disk()).newest("api")
    assert held is not None
    assert (held.size, held.root) == (newest.size, newest.root)
    assert '"action":"started"' in (tmp_path / "tail").read_text()
