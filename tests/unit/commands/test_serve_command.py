"""The service hands checkpoints over and sends records on, and once more at its end."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from ragplatform.audit.query import newest_checkpoint, read
from ragplatform.audit.storage import Disk
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import parse_note

ROOT = Path(__file__).resolve().parents[3]

SERVE = """
import sys
from pathlib import Path
from ragplatform import wiring
from ragplatform.commands import console, serve
from tests.fakes import make_bench
folder = Path(sys.argv[1])
one = make_bench(folder / "bench")
settings = one.settings.model_copy(update={
    "witness_folders": [str(folder / "held")], "witness_interval_s": 3600.0,
    "forward_file": folder / "tail", "forward_in_service": True,
})
console.settings = lambda: settings
wiring.build = lambda _: one.platform
print(settings.audit_dir, flush=True)
serve.serve(port=int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_what_is_recorded_last_is_held_elsewhere_when_the_service_has_stopped(
    tmp_path: Path, ending: signal.Signals
) -> None:
    (tmp_path / "held").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(tmp_path), str(port)]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        log = Path(process.stdout.readline().strip()) / "api"
        wait_until_up(port)
        process.send_signal(ending)
        process.wait(60)

    newest = parse_note(newest_checkpoint(log))
    held = HeldCheckpoints(tmp_path / "held", storage=Disk()).newest("api")
    assert held is not None
    assert (held.size, held.root) == (newest.size, newest.root)
    assert str(read(log)[-1].action) == "stopped"
    assert '"action":"stopped"' in (tmp_path / "tail").read_text().splitlines()[-1]


def wait_until_up(port: int) -> None:
    for _ in range(600):
        try:
            assert httpx2.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200
        except httpx2.ConnectError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the service did not come up")
