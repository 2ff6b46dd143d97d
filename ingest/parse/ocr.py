"""Text from pictures: images and scanned pages, by models that lie inside the package.

The package is an extra (``ocr``): without it a scanned page has a reason of its own. Nothing is
fetched, and all work is done in one thread: the sandbox permits neither.
"""

import importlib
import importlib.util
import io
import os
import signal
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ingest.parse.document import ParsedDocument, TextBuilder, clean
from ingest.parse.kind import Kind
from ragplatform.errors import ParseError

USED_BY: Final = "ingest.parse.route"
"""The module of the parsers that read pictures; a process for others does without."""

_PACKAGE: Final = "rapidocr"
_PARTS: Final = ("det", "cls", "rec")
_MAX_PIXELS: Final = 80_000_000
# Longest side given to the models: a letter page at 200 dots an inch.
_LONGEST: Final = 2_200
_MAX_FRAMES: Final = 200
# The time that must be left to begin another page: more than one took at most when measured.
_RESERVE_S: Final = 12.0
# A page's lines overlap by half their height or more when they stand side by side.
_SAME_LINE: Final = 0.5


def is_installed() -> bool:
    """Return whether the package that reads pictures is there."""
    return importlib.util.find_spec(_PACKAGE) is not None


def preload() -> None:
    """Load the package's libraries, where it is installed: behind the walls they cannot be."""
    if is_installed():
        before = dict(os.environ)
        for module in ("cv2", "onnxruntime", _PACKAGE):
            importlib.import_module(module)
        # OpenCV adds to the library path, which no parser should inherit.
        os.environ.clear()
        os.environ.update(before)


def has_time() -> bool:
    """Return whether the document's time allows for one more page."""
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    return left == 0 or left > _RESERVE_S


class PageReader:
    """Reads pictures of pages; loads its models on the first.

    Raises ``ParseError`` (``needs_ocr``) when the package is missing.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise ParseError("needs_ocr", "a scanned page, and OCR is not installed (extra `ocr`)")
        self._engine: Any = None

    def read(self, picture: Image.Image) -> str:
        """Return the picture's lines from top to bottom, ``""`` where no text is found."""
        if self._engine is None:
            self._engine = _engine()
        picture.thumbnail((_LONGEST, _LONGEST))
        pixels: NDArray[np.uint8] = np.asarray(picture.convert("RGB"))[:, :, ::-1].copy()
        found = self._engine(pixels)
        if found.txts is None or found.boxes is None:
            return ""
        return _lines([(box, text) for box, text in zip(found.boxes, found.txts, strict=True)])


def parse_image(data: bytes, *, kind: Kind, max_chars: int) -> ParsedDocument:
    """Return what stands written in an image; each frame of a TIFF is a page.

    Raises ``ParseError``: ``malformed``, ``needs_ocr``, ``no_text``, ``resource_limit``.
    """
    reader = PageReader()
    builder = TextBuilder(max_chars=max_chars)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large and of odd files; the limits here decide.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "TIFF", "WEBP"]) as image:
                _read_frames(image, kind, reader, builder)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise ParseError("malformed", "this image cannot be read") from error
    except Image.DecompressionBombError as error:
        raise ParseError("resource_limit", "the image has too many pixels") from error
    builder.warn("read_by_ocr")
    return builder.finish(kind.value)


def _read_frames(image: Image.Image, kind: Kind, reader: PageReader, builder: TextBuilder) -> None:
    if kind is not Kind.TIFF:
        builder.add(reader.read(_upright(image)))
        return
    for number, frame in enumerate(ImageSequence.Iterator(image), start=1):
        if number > _MAX_FRAMES or not has_time():
            builder.warn("pages_not_read")
            return
        builder.page(clean(reader.read(_upright(frame))), number)


def _upright(image: Image.Image) -> Image.Image:
    if image.width * image.height > _MAX_PIXELS:
        raise ParseError("resource_limit", f"the image has over {_MAX_PIXELS:,} pixels")
    return ImageOps.exif_transpose(image)


def _engine() -> Any:
    """Return the engine on the package's own models, in one thread."""
    importlib.import_module("cv2").setNumThreads(1)
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ParseError("needs_ocr", "a scanned page, and OCR is not installed (extra `ocr`)")
    models = Path(spec.origin).parent / "models"
    found = {part: next(iter(sorted(models.glob(f"*_{part}_*.onnx"))), None) for part in _PARTS}
    if None in found.values():
        raise ParseError("needs_ocr", "a scanned page, and OCR's package holds no models")
    return importlib.import_module(_PACKAGE).RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            **{f"{part.capitalize()}.model_path": str(path) for part, path in found.items()},
        }
    )


def _lines(found: list[tuple[NDArray[np.float32], str]]) -> str:
    """Return the pieces in reading order, those side by side on one line."""
    placed = sorted(
        ((float(box[:, 1].min()), float(box[:, 1].max()), float(box[:, 0].min()), text)
         for box, text in found),
    )  # fmt: skip
    rows: list[list[tuple[float, float, float, str]]] = []
    for piece in placed:
        top, bottom, _, _ = piece
        if rows:
            first = rows[-1][0]
            shared = min(bottom, first[1]) - max(top, first[0])
            if shared > _SAME_LINE * min(bottom - top, first[1] - first[0]):
                rows[-1].append(piece)
                continue
        rows.append([piece])
    return "\n".join(
        " ".join(text for _, _, _, text in sorted(row, key=lambda piece: piece[2])) for row in rows
    )
