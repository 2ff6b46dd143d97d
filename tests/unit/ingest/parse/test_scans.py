"""Pictures of text are read where OCR is installed, and have their reason where it is not."""

import io

import pytest
from PIL import Image, ImageDraw, ImageFont

from ingest.parse import ocr
from ingest.parse.route import parse
from ingest.parse.sandbox import Limits, Sandbox
from ragplatform.errors import ParseError


def picture(words: str) -> Image.Image:
    image = Image.new("RGB", (1200, 600), "white")
    ImageDraw.Draw(image).text((80, 200), words, fill="black", font=ImageFont.load_default(72))
    return image


def saved(image: Image.Image, form: str, **more: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **more)
    return target.getvalue()


@pytest.fixture
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "is_installed", lambda: False)


@pytest.mark.usefixtures("no_ocr")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "PDF"])
def test_a_picture_without_ocr_says_that_it_needs_it(form: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(saved(picture("Sodium"), form), f"a.{form.lower()}", 10_000)

    assert caught.value.reason == "needs_ocr"


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_drawn() -> None:
    pytest.importorskip("rapidocr")
    vast = saved(Image.new("1", (12_000, 12_000)), "PNG")

    with pytest.raises(ParseError) as caught:
        parse(vast, "a.png", 10_000)

    assert caught.value.reason == "resource_limit"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["PNG", "PDF"])
def test_a_scan_is_read_inside_the_walls(form: str) -> None:
    pytest.importorskip("rapidocr")
    with Sandbox(limits=Limits(timeout_s=120)) as sandbox:
        document = sandbox.parse(saved(picture("Sodium 140"), form), f"a.{form.lower()}")

    assert document.text == "Sodium 140"
    assert document.warnings[0] == "read_by_ocr"


@pytest.mark.slow
def test_each_frame_of_a_tiff_is_a_page() -> None:
    pytest.importorskip("rapidocr")
    data = saved(picture("First"), "TIFF", save_all=True, append_images=[picture("Second")])

    document = parse(data, "a.tif", 10_000)

    assert [page.number for page in document.pages] == [1, 2]
    assert document.page_at(document.text.index("Second")) == 2
