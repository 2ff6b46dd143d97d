"""The models known by name: what each is for, where its files come from, and their sha256.

A manifest is TOML; ``models.toml`` beside this module is the platform's own.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, TypeAlias

from ragplatform.errors import ModelError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

# What a model's folder may hold. Everything else is refused by name, and with it every format that
# runs code when loaded: pickles (.bin, .pt, .pth, .pkl, .ckpt) and modules (.py, .so).
_PLAIN: Final = frozenset({".json", ".txt", ".md", ".jinja", ".model"})
_WEIGHTS: Final = frozenset({".safetensors", ".onnx", ".onnx_data"})
_NAMES: Final = frozenset({"LICENSE", "NOTICE", ".gitattributes"})


class Role(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    PII = "pii"


@dataclass(frozen=True, slots=True)
class PackageSource:
    """An installed package that carries the model; ``root`` is the folder inside it."""

    package: str
    version: str
    root: PurePosixPath
    conversion: str | None
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BundledSource:
    """A folder inside this very package: ``ragplatform/weights/<name>``."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder that the operator brings, with hashes that the operator recorded."""


Source: TypeAlias = PackageSource | BundledSource | FolderSource


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the manifest. ``files`` maps each path to its sha256; folders have none yet."""

    name: str
    role: Role
    licence: str
    context_length: int
    revision: str
    prompt: str
    source: Source
    files: Mapping[str, str]


def load_manifest(extra: Path | None = None) -> Mapping[str, Model]:
    """Return the platform's manifest, and the operator's models from ``extra`` if it is a file.

    Raises ``ModelError`` for a malformed manifest, or one that redefines a model of the platform.
    """
    text = resources.files("ragplatform").joinpath("models.toml").read_text(encoding="utf-8")
    models = parse_manifest(text, "models.toml")
    if extra is not None and extra.is_file():
        own = parse_manifest(extra.read_text(encoding="utf-8"), str(extra))
        twice = sorted(models.keys() & own.keys())
        if twice:
            raise ModelError(f"{extra} redefines {', '.join(twice)}: choose other names")
        models = {**models, **own}
    return MappingProxyType(dict(models))


def parse_manifest(text: str, where: str) -> Mapping[str, Model]:
    """Return the models of a manifest by name. ``where`` names the file in errors.

    Raises ``ModelError``.
    """
    try:
        tables = tomllib.loads(text)["model"]
        return {name: _model(name, table) for name, table in tables.items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(f"{where} is malformed: {error!r}") from error


def _model(name: str, table: Mapping[str, object]) -> Model:
    known = {"role", "licence", "context_length", "revision", "prompt", "source", "files"}
    if not _NAME.fullmatch(name) or not table.keys() <= known:
        raise ModelError(f"manifest entry {name!r}: bad name, or a key beside {sorted(known)}")
    files = _pins(table.get("files", {}), name)
    source = _source(table["source"], files, name)
    if isinstance(source, FolderSource) == bool(files):
        raise ModelError(
            f"model {name}: packaged files are pinned here, a folder's are recorded later"
        )
    for path in files:
        require_allowed(PurePosixPath(path))
    length = table["context_length"]
    if not isinstance(length, int):
        raise TypeError(f"context_length of {name} is not a whole number")
    return Model(
        name=name,
        role=Role(str(table["role"])),
        licence=str(table["licence"]),
        context_length=length,
        revision=str(table["revision"]),
        prompt=str(table["prompt"]),
        source=source,
        files=files,
    )


def _source(table: object, files: Mapping[str, str], name: str) -> Source:
    if not isinstance(table, dict):
        raise TypeError(f"source of {name} is not a table")
    if table.get("folder") is True and table.keys() == {"folder"}:
        return FolderSource()
    if table.get("bundled") is True and table.keys() == {"bundled"}:
        return BundledSource()
    conversion = table.get("conversion")
    if conversion is None and "files" in table:
        raise ModelError(f"model {name}: source.files without a conversion")
    own = _pins(table["files"], name) if conversion is not None else files
    if conversion is not None and len(own) != 1:
        raise ModelError(f"model {name}: a conversion takes one source file, found {len(own)}")
    return PackageSource(
        package=str(table["package"]),
        version=str(table["version"]),
        root=PurePosixPath(str(table["root"])),
        conversion=None if conversion is None else str(conversion),
        files=own,
    )


def _pins(table: object, name: str) -> Mapping[str, str]:
    if not isinstance(table, dict):
        raise TypeError(f"files of {name} is not a table")
    pinned = {str(path): str(digest) for path, digest in table.items()}
    require_pins(pinned, f"model {name}")
    return MappingProxyType(pinned)


def require_pins(pinned: Mapping[str, str], where: str) -> None:
    """Refuse a path that leaves the model's folder, and a digest that is no sha256.

    ``where`` names the list in the error. Raises ``ModelError``.
    """
    for path, digest in pinned.items():
        inside = PurePosixPath(path)
        if inside.is_absolute() or ".." in inside.parts or not _SHA256.fullmatch(digest):
            raise ModelError(f"{where}: {path!r} needs a path inside the model and a sha256")


def require_allowed(path: PurePosixPath) -> None:
    """Refuse a file of a kind that no model has need of.

    Raises ``ModelError`` naming the file.
    """
    allowed = path.suffix in _PLAIN | _WEIGHTS or path.name in _NAMES
    if not allowed:
        raise ModelError(
            f"{path} is of a kind that may run code when loaded, or that no model needs: only "
            "safetensors, ONNX, tokenizers and plain settings are accepted; remove the file"
        )
