"""What the production deployment promises, read from the file as Docker Compose resolves it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = Path(sys.executable).parent / "docker-compose"
OURS = ("query", "worker", "ingest", "keys")


@pytest.fixture(scope="module")
def deployment() -> dict[str, Any]:
    """Return the deployment with every profile, every anchor resolved, nothing set by the shell."""
    resolved = subprocess.run(
        [COMPOSE, "--profile", "*", "--file", "docker-compose.yml", "config", "--format", "json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(resolved.stdout)


@pytest.fixture(scope="module")
def services(deployment: dict[str, Any]) -> dict[str, Any]:
    """Return the services by name."""
    return deployment["services"]


def lines_of(value: object) -> Iterator[str]:
    """Yield every string inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *lines_of(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from lines_of(inner)


def test_only_query_publishes_a_port_and_only_on_loopback(services: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in services.items() if s.get("ports")}

    assert list(published) == ["query"]
    assert [port["host_ip"] for port in published["query"]] == ["127.0.0.1"]


def test_nobody_shares_the_network_or_processes_of_the_host(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service.get("network_mode") in (None, "none")
        assert not {"pid", "ipc", "privileged", "devices", "cap_add"} & service.keys()
        assert not any("docker.sock" in line for line in lines_of(service))


def test_every_network_is_internal_and_isolated_but_the_edge(deployment: dict[str, Any]) -> None:
    networks = dict(deployment["networks"])
    edge = networks.pop("edge")

    assert set(networks) == {"store", "model"}
    for network in networks.values():
        assert network["internal"] is True
        options = network["driver_opts"]
        assert options["com.docker.network.bridge.gateway_mode_ipv4"] == "isolated"
    assert edge["driver_opts"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"


def test_the_model_server_meets_only_query_and_the_store_never_meets_the_edge(
    services: dict[str, Any],
) -> None:
    def members(network: str) -> set[str]:
        return {name for name, s in services.items() if network in s.get("networks", {})}

    assert members("model") == {"query", "vllm"}
    assert members("store") == {"query", "worker", "ingest", "qdrant", "postgres"}
    assert members("edge") == {"query"}
    assert services["query"]["dns"] == ["127.0.0.1"]


def test_the_seal_of_our_processes_knows_just_the_two_inner_networks(
    deployment: dict[str, Any], services: dict[str, Any]
) -> None:
    subnets = {
        deployment["networks"][name]["ipam"]["config"][0]["subnet"] for name in ("store", "model")
    }

    for name in OURS:
        allowed = services[name]["environment"]["RAGPLATFORM_ALLOWED_NETWORKS"]
        assert set(allowed.split(",")) == subnets


def test_no_container_runs_as_root_writes_its_image_or_gains_rights(
    services: dict[str, Any],
) -> None:
    for service in services.values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["init"] is True


def test_every_container_is_limited_in_memory_processes_and_log(services: dict[str, Any]) -> None:
    for service in services.values():
        assert int(service["mem_limit"]) > 0
        assert service["pids_limit"] > 0
        assert service["logging"]["options"].keys() >= {"max-size", "max-file"}


def test_every_standing_service_restarts_and_says_whether_it_is_well(
    services: dict[str, Any],
) -> None:
    standing = [service for service in services.values() if service["restart"] != "no"]

    assert len(standing) == 5
    for service in standing:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"
    assert "readyz" in services["query"]["healthcheck"]["test"][-1]
    assert "max_tokens" in services["vllm"]["healthcheck"]["test"][-1]


def test_secrets_are_files_and_never_stand_in_the_environment(services: dict[str, Any]) -> None:
    for service in services.values():
        for key, value in service["environment"].items():
            if "KEY" in key or "PASSWORD" in key:
                assert key.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    given = {n: {s["source"] for s in v.get("secrets", [])} for n, v in services.items()}
    assert given == {
        "query": {"qdrant_api_key", "vllm_api_key", "pgpass"},
        "worker": {"qdrant_api_key", "pgpass"},
        "ingest": {"qdrant_api_key", "pgpass"},
        "keys": set(),
        "vllm": {"vllm_api_key"},
        "qdrant": {"qdrant_api_key"},
        "postgres": {"postgres_password"},
    }


def test_the_master_key_is_read_only_but_to_the_container_that_makes_it(
    services: dict[str, Any],
) -> None:
    def writes_keys(name: str) -> bool:
        [mount] = [v for v in services[name]["volumes"] if v["target"] == "/data/keys"]
        return not mount.get("read_only", False)

    assert [name for name in OURS if writes_keys(name)] == ["keys"]
    assert services["keys"]["network_mode"] == "none"


def test_the_worker_meets_the_store_alone_and_has_time_to_finish(services: dict[str, Any]) -> None:
    worker = services["worker"]

    assert (worker["entrypoint"], worker["command"]) == (["ragplatform-ingest"], ["worker"])
    assert set(worker["networks"]) == {"store"}
    assert "/documents" not in {volume["target"] for volume in worker["volumes"]}
    assert worker["stop_grace_period"] == "2m0s"


def test_models_and_policies_are_mounted_read_only(services: dict[str, Any]) -> None:
    mounts = [
        volume
        for service in services.values()
        for volume in service["volumes"]
        if volume["target"] in ("/models", "/policies", "/documents")
    ]

    assert len(mounts) == 10
    assert all(mount["read_only"] for mount in mounts)


def test_nothing_reports_to_its_makers_or_asks_a_hub(services: dict[str, Any]) -> None:
    vllm = services["vllm"]["environment"]
    assert (vllm["VLLM_NO_USAGE_STATS"], vllm["DO_NOT_TRACK"]) == ("1", "1")
    assert vllm["HF_HUB_OFFLINE"] == "1"
    assert services["qdrant"]["environment"]["QDRANT__TELEMETRY_DISABLED"] == "true"
    for name in OURS:
        assert services[name]["environment"]["HF_HUB_OFFLINE"] == "1"
        assert services[name]["environment"]["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] == ""


def test_vllm_reserves_as_many_gpus_as_it_splits_the_model_over(services: dict[str, Any]) -> None:
    [device] = services["vllm"]["deploy"]["resources"]["reservations"]["devices"]
    [flag] = [a for a in services["vllm"]["command"] if a.startswith("--tensor-parallel-size=")]

    assert device["capabilities"] == ["gpu"]
    assert device["count"] == int(flag.partition("=")[2]) == 4


def test_vllm_is_new_enough_to_ask_for_its_key(services: dict[str, Any]) -> None:
    tag = services["vllm"]["image"].rpartition(":v")[2]

    assert tuple(map(int, tag.split(".")[:2])) >= (0, 22)


def test_every_image_is_pinned_by_version(services: dict[str, Any]) -> None:
    for service in services.values():
        tag = service["image"].rpartition(":")[2]
        assert tag[:1].isdigit() or tag[:2].strip("v").isdigit()


def test_every_setting_passed_to_our_processes_exists(services: dict[str, Any]) -> None:
    from ragplatform.config import Settings

    passed = {
        key.removeprefix("RAGPLATFORM_").lower()
        for name in OURS
        for key in services[name]["environment"]
        if key.startswith("RAGPLATFORM_")
    }

    assert passed <= set(Settings.model_fields)


def test_only_what_the_image_needs_goes_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert not any("var" in rule or "keys" in rule for rule in rules if rule.startswith("!"))
