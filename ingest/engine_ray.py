"""Workers on the machines of a Ray cluster: one that is there, or one of this machine for a run.

Ray moves documents, their passages and a tenant's keys between the job and the workers. Its traffic
is in clear unless RAY_USE_TLS is set, and who reaches its ports runs code on its machines unless
RAY_AUTH_MODE is "token": a cluster of other machines is refused without the first, and one that is
started here listens on loopback alone, under a token made for the run.
"""

import contextlib
import importlib
import os
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ingest.engine import Stage
from ingest.engine_spread import Answer, Lost
from ingest.engine_worker import READY, Unable
from ingest.stages import Processed
from ingest.work import Work
from ragplatform.errors import ConfigurationError, PlatformError, UnavailableError

# What is in flight lies in Ray's shared memory. Beyond this it is not written to a disk, in clear,
# as Ray would do by itself: the job waits.
_STORE_BYTES: Final = 512 * 1024 * 1024
# Read when Ray is imported. "0" makes a cluster of one machine, on loopback, whatever the system.
_LOOPBACK_ALONE: Final = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
_ON: Final = frozenset({"1", "true"})


class Seat:
    """What runs as an actor: the stages, made once."""

    def __init__(self, make: Callable[[], Stage]) -> None:
        self._make = make
        self._stage: Stage | None = None

    def ready(self) -> str | Unable:
        """Make the stages."""
        try:
            self._stage = self._make()
        except PlatformError as error:
            return Unable(str(error), isinstance(error, ConfigurationError))
        return READY

    def process(self, works: Sequence[Work]) -> Processed | Unable:
        """Return what became of the documents, or why none can be worked on here."""
        if self._stage is None:
            return Unable("a worker was given documents before it was ready")
        try:
            return self._stage(works)
        except PlatformError as error:
            return Unable(str(error), isinstance(error, ConfigurationError))


class RayWorkers:
    """Implements ``Workers`` by actors of a Ray cluster."""

    def __init__(
        self, *, make: Callable[[], Stage], count: int, address: str, without_tls: bool
    ) -> None:
        """Join the cluster at ``address``, ``HOST:PORT``; "" starts one for as long as this lives.

        ``make`` must be importable on every machine. 0 workers stand for one on each core of the
        cluster. Raises ``ConfigurationError`` when Ray is not installed, the cluster cannot be
        joined, or its machines may not be sent documents.
        """
        self._closing = contextlib.ExitStack()
        self._ray = _import_ray(own=not address)
        self._without_tls = without_tls
        self._make = make
        self._actors: dict[int, Any] = {}
        self._pending: dict[int, deque[Any]] = {}
        self._begun: set[int] = set()
        try:
            self._join(address, count)
            self._require_encryption()
            self._count = count or int(self._ray.cluster_resources().get("CPU", 1))
        except BaseException:
            self.close()
            raise
        # One core each, on as many machines as there are.
        self._actor = self._ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(Seat)

    @property
    def count(self) -> int:
        """How many there are at most."""
        return self._count

    def give(self, worker: int, works: Sequence[Work]) -> None:
        """Hand documents to a worker, which is started first if it is not running."""
        if worker not in self._actors:
            # A machine may have joined the cluster since.
            self._require_encryption()
            actor = self._actors[worker] = self._actor.remote(self._make)
            self._pending[worker] = deque([actor.ready.remote()])
        self._pending[worker].append(self._actors[worker].process.remote(works))

    def wait(self) -> Sequence[Answer | Lost]:
        """Return what happened, after waiting for something to happen."""
        first = {pending[0]: worker for worker, pending in self._pending.items() if pending}
        done, _ = self._ray.wait(list(first), num_returns=1)
        events = (self._heard(first[reference]) for reference in done)
        return [event for event in events if event is not None]

    def close(self) -> None:
        """End every worker, and the cluster if it was started here."""
        for worker in list(self._actors):
            self._drop(worker)
        self._closing.close()

    def _join(self, address: str, count: int) -> None:
        if self._ray.is_initialized():
            raise ConfigurationError("this process is part of a Ray cluster already")
        quiet = {"log_to_driver": False, "configure_logging": False}
        self._closing.callback(self._ray.shutdown)
        try:
            if address:
                self._ray.init(address=address, **quiet)
                return
            folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
            # Below the shutdown on the stack: Ray's folder goes when Ray is gone.
            self._closing = _behind(self._closing, folder.cleanup)
            self._ray.init(
                num_cpus=count or len(os.sched_getaffinity(0)),
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _temp_dir=folder.name,
                _system_config={"automatic_object_spilling_enabled": False},
                **quiet,
            )
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            problem = f"no Ray cluster answers at {address}" if address else "Ray does not start"
            raise ConfigurationError(
                f"{problem}: see the cause; `ray status` on one of its machines tells more"
            ) from error

    def _require_encryption(self) -> None:
        nodes = [node["NodeManagerAddress"] for node in self._ray.nodes() if node["Alive"]]
        require_encryption(
            nodes,
            here=self._ray.util.get_node_ip_address(),
            environment=os.environ,
            without_tls=self._without_tls,
        )

    def _heard(self, worker: int) -> Answer | Lost | None:
        try:
            said = self._ray.get(self._pending[worker][0])
        except self._ray.exceptions.RayError:
            self._drop(worker)
            lost = Lost(worker, worker in self._begun)
            self._begun.discard(worker)
            return lost
        self._pending[worker].popleft()
        match said:
            case Processed():
                return Answer(worker, said)
            case Unable(configuration=True):
                raise ConfigurationError(said.message)
            case Unable():
                raise UnavailableError(said.message)
        self._begun.add(worker)
        return None

    def _drop(self, worker: int) -> None:
        actor = self._actors.pop(worker)
        del self._pending[worker]
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)


def require_encryption(
    nodes: Sequence[str], *, here: str, environment: Mapping[str, str], without_tls: bool
) -> None:
    """Raise ``ConfigurationError`` when documents would go to another machine in clear.

    ``nodes`` are the addresses of the cluster's machines, ``here`` this one's.
    """
    if without_tls or environment.get("RAY_USE_TLS", "").lower() in _ON:
        return
    elsewhere = sorted(set(nodes) - {here})
    if elsewhere:
        raise ConfigurationError(
            f"the Ray cluster has machines elsewhere ({', '.join(elsewhere[:3])}) and RAY_USE_TLS "
            "is not set: documents and keys would cross the network in clear. Set up TLS on every "
            "machine, or set RAGPLATFORM_RAY_WITHOUT_TLS=true where the network itself is encrypted"
        )


def _import_ray(*, own: bool) -> Any:  # Ray is optional and has types of its own making
    if own:
        os.environ.update(_LOOPBACK_ALONE)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigurationError(
            "Ray is not installed: pip install 'ragplatform[ray]', or use --engine local"
        ) from error


def _behind(stack: contextlib.ExitStack, last: Callable[[], None]) -> contextlib.ExitStack:
    """Return a stack that does what this one does, and then one thing more."""
    whole = contextlib.ExitStack()
    whole.callback(last)
    whole.enter_context(stack)
    return whole
