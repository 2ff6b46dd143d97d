from pathlib import Path

import pytest

from ragplatform.errors import ModelError
from ragplatform.model_manifest import (
    FolderSource,
    Role,
    load_manifest,
    parse_manifest,
)

DIGEST = "0" * 64
HEAD = 'licence = "MIT"\ncontext_length = 8\nrevision = "1"\nprompt = ""\n'
PACKAGE = 'source = {package = "p", version = "1", root = "p"}\n'


def _entry(body: str, name: str = "m") -> str:
    return f"[model.{name}]\n{HEAD}{body}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not toml",
        "model = 3",
        _entry('role = "chat"\n'),
        _entry('role = "oracle"\n' + PACKAGE + f'files = {{"a.json" = "{DIGEST}"}}'),
        _entry('role = "chat"\n' + PACKAGE),
        _entry('role = "chat"\n' + PACKAGE + 'files = {"a.json" = "abc"}'),
        _entry('role = "chat"\n' + PACKAGE + f'files = {{"../a.json" = "{DIGEST}"}}'),
        _entry('role = "chat"\n' + PACKAGE + f'files = {{"/a.json" = "{DIGEST}"}}'),
        _entry('role = "chat"\n' + PACKAGE + f'files = {{"a.json" = "{DIGEST}"}}\nextra = 1'),
        _entry('role = "chat"\nsource = {folder = true}\n' + f'files = {{"a.json" = "{DIGEST}"}}'),
        _entry('role = "chat"\nsource = {folder = true}\n', name='"../m"'),
        _entry('role = "chat"\nsource = {folder = true}\n').replace("= 8", '= "8"'),
    ],
)
def test_a_malformed_manifest_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        parse_manifest(text, "here")


@pytest.mark.parametrize("role", ["chat", "embedding", "pii"])
@pytest.mark.parametrize("path", ["pytorch_model.bin", "x.pkl", "x.py", "x.pt"])
def test_a_file_that_may_run_code_cannot_even_be_pinned(role: str, path: str) -> None:
    text = _entry(f'role = "{role}"\n' + PACKAGE + f'files = {{"{path}" = "{DIGEST}"}}')

    with pytest.raises(ModelError, match=path):
        parse_manifest(text, "here")


def test_the_operator_cannot_redefine_a_model_of_the_platform(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text(
        _entry('role = "chat"\nsource = {folder = true}\n', "all-minilm-l6-v2"), encoding="utf-8"
    )

    with pytest.raises(ModelError, match="redefines all-minilm-l6-v2"):
        load_manifest(own)


def test_the_operator_can_add_a_model(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text(_entry('role = "chat"\nsource = {folder = true}\n', "ours"), encoding="utf-8")

    assert load_manifest(own)["ours"].source == FolderSource()


def test_a_missing_file_of_own_models_is_no_error(tmp_path: Path) -> None:
    assert load_manifest(tmp_path / "models.toml") == load_manifest()


def test_the_platform_knows_a_pinned_model_for_each_role() -> None:
    pinned = [m for m in load_manifest().values() if not isinstance(m.source, FolderSource)]

    assert {model.role for model in pinned} == set(Role)


def test_the_platform_knows_the_llamas_by_name() -> None:
    llamas = {name for name in load_manifest() if name.startswith("llama-")}

    assert llamas == {
        "llama-3.1-8b-instruct",
        "llama-3.1-70b-instruct",
        "llama-3.1-405b-instruct-fp8",
        "llama-3.2-1b-instruct",
        "llama-3.2-3b-instruct",
        "llama-3.3-70b-instruct",
    }
