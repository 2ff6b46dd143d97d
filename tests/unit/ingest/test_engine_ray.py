"""Ray: documents go to other machines only encrypted, and a cluster of one's own is closed."""

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from ingest.engine_ray import RayWorkers, require_encryption
from ingest.engine_spread import Spread
from ragplatform.errors import ConfigurationError
from tests import fakes_stages
from tests.fakes_stages import batches, document

ROOT = Path(__file__).resolve().parents[3]
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="the package ray is not installed (the extra `ray`)"
)
HERE, THERE = "10.0.0.1", "10.0.0.2"


@pytest.mark.parametrize("environment", [{}, {"RAY_USE_TLS": "0"}, {"RAY_USE_TLS": ""}])
def test_documents_do_not_go_to_another_machine_in_clear(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="RAY_USE_TLS"):
        require_encryption([HERE, THERE], here=HERE, environment=environment, without_tls=False)


@pytest.mark.parametrize(
    ("nodes", "environment", "without_tls"),
    [
        ([HERE, HERE], {}, False),
        ([HERE, THERE], {"RAY_USE_TLS": "1"}, False),
        ([HERE, THERE], {}, True),
    ],
)
def test_one_machine_or_tls_or_the_operator_s_word_will_do(
    nodes: list[str], environment: dict[str, str], without_tls: bool
) -> None:
    require_encryption(nodes, here=HERE, environment=environment, without_tls=without_tls)


def test_ray_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ConfigurationError, match="not installed"):
        RayWorkers(make=lambda: None, count=1, address="127.0.0.1:1", without_tls=False)


def test_workers_are_on_every_node(ray_cluster: str, tmp_path: Path) -> None:
    make = partial(fakes_stages.make, tmp_path)
    workers = RayWorkers(make=make, count=0, address=ray_cluster, without_tls=False)
    engine = Spread(workers=workers)
    given = [document(f"d{number}", b"sleep 0.05") for number in range(12)]

    pids = {int(one.outcomes[0].detail) for one in engine.run(batches(*given, size=1))}

    nodes = {psutil.Process(pid).ppid() for pid in pids}
    engine.close()
    assert workers.count == len(pids) == len(nodes) == 2


OWN = """
import os, sys
from functools import partial
from pathlib import Path
import psutil
from ingest.engine_ray import RayWorkers
from ingest.engine_spread import Spread
from tests import fakes_stages
from tests.fakes_stages import batches, document

make = partial(fakes_stages.make, Path(sys.argv[1]))
engine = Spread(workers=RayWorkers(make=make, count=1, address="", without_tls=False))
done = list(engine.run(batches(document("d"))))
processes = psutil.Process().children(recursive=True)
for process in processes:
    for connection in process.net_connections("inet"):
        if connection.laddr.ip not in ("127.0.0.1", "::ffff:127.0.0.1", "::1"):
            print("open to others:", process.name(), connection.laddr)
print(len(done), len(processes) > 3, os.environ["RAY_AUTH_MODE"], len(os.environ["RAY_AUTH_TOKEN"]))
engine.close()
print([p for p in Path(os.environ["TMPDIR"]).iterdir()])
"""


@needs_ray
@pytest.mark.slow
def test_a_cluster_of_one_s_own_listens_on_loopback_under_a_token_and_leaves_no_file(
    memory: Path,
) -> None:
    # In memory, for Ray's sockets lie in it: their names may have 107 characters.
    ours = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    path = os.pathsep.join([str(ROOT), ours.get("PYTHONPATH", "")])
    (memory / "t").mkdir()

    done = subprocess.run(
        [sys.executable, "-c", OWN, str(memory)], cwd=ROOT, text=True, capture_output=True,
        env=ours | {"TMPDIR": str(memory / "t"), "PYTHONPATH": path}, check=False, timeout=280,
    )  # fmt: skip

    assert done.stdout == "1 True token 64\n[]\n", done.stderr
