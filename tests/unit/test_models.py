import hashlib
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import pytest

from ragplatform.adapters.gguf_conversion import convert_gguf
from ragplatform.errors import ModelError
from ragplatform.model_manifest import Model, load_manifest, parse_manifest
from ragplatform.models import Converter, ModelStore

WEIGHTS = b"weights"
GGUF = b"gguf bytes"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


MANIFEST = f"""
[model.small]
role = "embedding"
licence = "MIT"
context_length = 256
revision = "1"
prompt = ""
source = {{package = "small-model", version = "1.0", root = "small_model"}}
files = {{"model.safetensors" = "{_sha(WEIGHTS)}", "1_Pooling/config.json" = "{_sha(b"{}")}"}}

[model.converted]
role = "chat"
licence = "MIT"
context_length = 256
revision = "1"
prompt = ""
[model.converted.source]
package = "small-model"
version = "1.0"
root = "small_model"
conversion = "gguf"
files = {{"m.gguf" = "{_sha(GGUF)}"}}
[model.converted.files]
"model.safetensors" = "{_sha(WEIGHTS)}"

[model.brought]
role = "chat"
licence = "MIT"
context_length = 256
revision = "1"
prompt = ""
source = {{folder = true}}
"""


class _Distribution:
    version = "1.0"

    def __init__(self, root: Path) -> None:
        self._root = root

    def locate_file(self, path: str) -> Path:
        return self._root / path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with the files of ``small``; returns the folder it carries."""
    root = tmp_path / "site-packages" / "small_model"
    _write(root, {"model.safetensors": WEIGHTS, "1_Pooling/config.json": b"{}", "m.gguf": GGUF})
    _write(root, {"__init__.py": b"raise SystemExit"})
    distribution = _Distribution(root.parent)
    monkeypatch.setattr(metadata, "distribution", lambda name: distribution)
    return root


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _store(tmp_path: Path, convert: Converter | None = None) -> ModelStore:
    return ModelStore(
        models_dir=tmp_path / "models",
        manifest=parse_manifest(MANIFEST, "here"),
        converters={"gguf": convert} if convert else {},
    )


def _convert(source: Path, target: Path) -> None:
    assert source.read_bytes() == GGUF
    (target / "model.safetensors").write_bytes(WEIGHTS)


def _provisioned(tmp_path: Path) -> tuple[ModelStore, Path]:
    store = _store(tmp_path)
    path = store.provision("small").path
    return store, path


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("changed", ["model.safetensors", "1_Pooling/config.json"])
def test_a_changed_byte_is_refused_by_name(tmp_path: Path, changed: str) -> None:
    store, path = _provisioned(tmp_path)
    data = bytearray((path / changed).read_bytes())
    data[0] ^= 1
    (path / changed).chmod(0o644)
    (path / changed).write_bytes(data)

    with pytest.raises(ModelError, match=changed):
        store.resolve("small")


@pytest.mark.usefixtures("package")
def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    store, path = _provisioned(tmp_path)
    (path / "model.safetensors").unlink()

    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        store.verify("small")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    "added",
    ["pytorch_model.bin", "a/model.pt", "x.pth", "x.pkl", "x.ckpt", "modeling.py", "x.so", "run"],
)
def test_a_file_that_may_run_code_is_refused_by_name(tmp_path: Path, added: str) -> None:
    store, path = _provisioned(tmp_path)
    _write(path, {added: b"x"})

    with pytest.raises(ModelError, match=f"{added} is of a kind"):
        store.verify("small")


@pytest.mark.usefixtures("package")
def test_a_file_that_nobody_pinned_is_refused_by_name(tmp_path: Path) -> None:
    store, path = _provisioned(tmp_path)
    _write(path, {"adapter_config.json": b"{}"})

    with pytest.raises(ModelError, match=r"adapter_config\.json .* not in the manifest"):
        store.verify("small")


@pytest.mark.usefixtures("package")
def test_a_link_is_refused_even_to_the_right_bytes(tmp_path: Path) -> None:
    store, path = _provisioned(tmp_path)
    elsewhere = tmp_path / "elsewhere.safetensors"
    (path / "model.safetensors").rename(elsewhere)
    (path / "model.safetensors").symlink_to(elsewhere)

    with pytest.raises(ModelError, match="symbolic link"):
        store.verify("small")


def test_a_changed_package_is_refused_before_anything_is_copied(
    tmp_path: Path, package: Path
) -> None:
    _write(package, {"model.safetensors": b"other"})

    with pytest.raises(ModelError, match=r"model\.safetensors is not the file"):
        _store(tmp_path).provision("small")
    assert not (tmp_path / "models" / "small").exists()


@pytest.mark.usefixtures("package")
def test_another_version_of_the_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Distribution, "version", "1.1")

    with pytest.raises(ModelError, match=r"small-model is 1\.1; wanted 1\.0"):
        _store(tmp_path).provision("small")


def test_an_absent_package_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"small-model, absent here: run `pip"):
        _store(tmp_path).provision("small")


@pytest.mark.usefixtures("package")
def test_a_conversion_that_gives_other_bytes_leaves_nothing(tmp_path: Path) -> None:
    def wrong(source: Path, target: Path) -> None:
        (target / "model.safetensors").write_bytes(source.read_bytes())

    with pytest.raises(ModelError, match=r"model\.safetensors is not the file"):
        _store(tmp_path, wrong).provision("converted")
    assert _names(tmp_path / "models") == [".lock"]


@pytest.mark.usefixtures("package")
def test_an_interrupted_conversion_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(source: Path, target: Path) -> None:
        (target / "model.safetensors").write_bytes(WEIGHTS[:3])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _store(tmp_path, interrupted).provision("converted")
    assert _names(tmp_path / "models") == [".lock"]


def test_a_name_that_is_not_in_the_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model '\.\./etc'"):
        _store(tmp_path).resolve("../etc")


def test_an_absent_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="models provision small"):
        _store(tmp_path).resolve("small")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("name", ["small", "converted"])
def test_a_provisioned_model_verifies(tmp_path: Path, name: str) -> None:
    lines: list[str] = []
    store = _store(tmp_path, _convert)

    store.provision(name, lines.append)

    found = store.verify(name)
    assert found.path == tmp_path / "models" / name
    assert found.bytes == sum(p.stat().st_size for p in found.path.rglob("*") if p.is_file())
    assert lines


@pytest.mark.usefixtures("package")
def test_provisioning_again_converts_nothing(tmp_path: Path) -> None:
    _store(tmp_path, _convert).provision("converted")

    assert _store(tmp_path).provision("converted").files == 1


@pytest.mark.usefixtures("package")
def test_provisioning_mends_a_damaged_model(tmp_path: Path) -> None:
    store, path = _provisioned(tmp_path)
    _write(path, {"evil.py": b"x"})

    store.provision("small")

    assert store.verify("small").files == 2
    assert _names(tmp_path / "models") == [".lock", "small"]


def _brought(tmp_path: Path) -> tuple[ModelStore, Path]:
    folder = tmp_path / "models" / "brought"
    _write(folder, {"model.safetensors": WEIGHTS, "sub/config.json": b"{}"})
    return _store(tmp_path), folder


def test_a_brought_folder_is_refused_until_it_is_recorded(tmp_path: Path) -> None:
    store, _ = _brought(tmp_path)

    with pytest.raises(ModelError, match="models verify brought --record"):
        store.resolve("brought")


def test_a_brought_folder_with_a_pickle_is_not_recorded(tmp_path: Path) -> None:
    store, folder = _brought(tmp_path)
    _write(folder, {"original/consolidated.00.pth": b"x"})

    with pytest.raises(ModelError, match=r"original/consolidated\.00\.pth"):
        store.record("brought")


def test_a_file_changed_after_the_record_is_refused(tmp_path: Path) -> None:
    store, folder = _brought(tmp_path)
    store.record("brought")
    assert store.resolve("brought") == folder

    _write(folder, {"sub/config.json": b"[]"})

    with pytest.raises(ModelError, match=r"sub/config\.json"):
        store.resolve("brought")


def test_a_record_reads_as_sha256sum_writes_it(tmp_path: Path) -> None:
    store, _ = _brought(tmp_path)

    text = store.record("brought").read_text(encoding="utf-8")

    assert f"{_sha(WEIGHTS)}  model.safetensors\n" in text


@pytest.mark.parametrize(
    "line", ["nonsense", f"{_sha(WEIGHTS)}  ../model.safetensors", "abc  model.safetensors"]
)
def test_a_malformed_record_is_refused(tmp_path: Path, line: str) -> None:
    store, _ = _brought(tmp_path)
    store.record("brought").write_text(line + "\n", encoding="utf-8")

    with pytest.raises(ModelError):
        store.verify("brought")


def test_a_pinned_model_is_not_recorded_anew(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pinned by the manifest"):
        _store(tmp_path).record("small")


def test_a_brought_model_is_not_provisioned(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="comes from no package"):
        _store(tmp_path).provision("brought")


def test_entries_tell_what_is_there(tmp_path: Path) -> None:
    store, _ = _brought(tmp_path)

    assert {entry.model.name: entry.present for entry in store.entries()} == {
        "small": False,
        "converted": False,
        "brought": True,
    }


@pytest.mark.slow
def test_the_demo_models_come_out_of_their_packages_as_pinned(tmp_path: Path) -> None:
    """The conversion gives the pinned bytes, so a second machine serves the same model."""
    manifest = load_manifest()
    store = ModelStore(
        models_dir=tmp_path / "models", manifest=manifest, converters={"gguf": convert_gguf}
    )

    for model in _packaged(manifest, lambda model: bool(model.files)):
        assert store.provision(model.name).files == len(model.files)


def _packaged(manifest: Mapping[str, Model], wanted: Callable[[Model], bool]) -> list[Model]:
    return [model for model in manifest.values() if wanted(model)]
