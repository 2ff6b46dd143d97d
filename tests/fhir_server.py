"""A FHIR server as a process of its own: sekmet, with bulk export, history and SMART services."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

# Whatever else a test asks of it, it sends nothing anywhere and plays no hospital.
QUIET: Mapping[str, Any] = {
    "log_inbound": False,
    "simulator": {"enabled": False, "delay_seconds": 0},
    "validation": {"inbound": "off"},
}


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class FhirProcess:
    """The server and what a test does to it directly. ``auth`` is sekmet's own setting."""

    def __init__(
        self, folder: Path, auth: Mapping[str, Any] | None = None, token: str = ""
    ) -> None:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/fhir"
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            **QUIET,
            "base_url": self.base,
            "host": "127.0.0.1",
            "port": self.port,
            "data_dir": str(folder / "data"),
            "own_private_key_path": str(folder / "unused.pem"),
            "server_auth": auth or {"types": ["none"]},
        }
        config = folder / "sekmet.yaml"
        config.write_text(json.dumps(settings))  # which is YAML too
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sekmet.cli", "serve", "-c", str(config)],
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
        )
        mine = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(trust_env=False, timeout=30, headers=mine)
        self._wait()

    def _wait(self) -> None:
        for _ in range(240):
            try:
                self._client.get(f"http://127.0.0.1:{self.port}/.well-known/jwks.json")
            except httpx2.HTTPError:
                assert self._process.poll() is None, "the FHIR server did not start"
                time.sleep(0.125)
            else:
                return
        raise AssertionError("the FHIR server did not start in time")

    def put(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Make a resource, or another version of it; return it as it is now."""
        path = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        answer = self._client.put(
            path, content=json.dumps(resource), headers={"content-type": "application/fhir+json"}
        )
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def transact(self, bundle: Mapping[str, Any]) -> None:
        """Have the server take in a transaction."""
        answer = self._client.post(
            self.base, content=json.dumps(bundle), headers={"content-type": "application/fhir+json"}
        )
        assert answer.status_code == 200, answer.text

    def delete(self, reference: str) -> None:
        """Delete a resource."""
        assert self._client.delete(f"{self.base}/{reference}").status_code in {200, 204}

    def clear(self, kind: str) -> None:
        """Delete every resource of a type."""
        bundle = self._client.get(f"{self.base}/{kind}?_count=1000").json()
        for entry in bundle.get("entry", []):
            self.delete(f"{kind}/{entry['resource']['id']}")

    def stop(self) -> None:
        """End the process."""
        self._client.close()
        self._process.terminate()
        self._process.wait(timeout=20)
        self._log.close()
