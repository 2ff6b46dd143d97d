"""From bytes to text, for whatever encoding they are in: ingest and commands read files alike."""

import codecs
from typing import Final

import charset_normalizer

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Without this list, German letters were taken for those of a Baltic code page.
_LEGACY: Final = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman", "cp437"),
)
# Detection reads this much: its cost grows faster than its certainty.
_DETECT_BYTES: Final = 256 * 1024


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding.

    In this order: byte-order mark, UTF-8, zero bytes that give UTF-16 away, statistics. Bytes that
    fit nowhere become U+FFFD rather than stop the document.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    if wide := is_wide(data[:65536]):
        return data.decode(wide, "replace"), wide
    encoding = _guess(data[:_DETECT_BYTES])
    return data.decode(encoding, "replace"), encoding


def _guess(data: bytes) -> str:
    """Return the most likely of the encodings that files are found in.

    Between equals windows-1252 wins: it is what unlabelled Western files are (WHATWG Encoding
    Standard, 4.2), and its neighbours turn "é" into letters of other names.
    """
    found = charset_normalizer.from_bytes(data, cp_isolation=list(_LEGACY))
    best = found.best()
    if best is None:
        return "cp1252"
    equals = {match.encoding for match in found if match.chaos <= best.chaos}
    return "cp1252" if "cp1252" in equals.union(best.could_be_from_charset) else best.encoding


def is_wide(sample: bytes) -> str:
    """Return the UTF-16 byte order that unmarked text gives away by its zero bytes, or ``""``."""
    if len(sample) < 4:
        return ""
    sample = sample[: len(sample) // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd * 10 > half * 7 and even * 10 < half:
        return "utf-16-le"
    if even * 10 > half * 7 and odd * 10 < half:
        return "utf-16-be"
    return ""


def looks_binary(data: bytes) -> bool:
    """Return whether the bytes hold more control characters than text ever does."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return False
    sample = data[:65536]
    if is_wide(sample):
        return False
    controls = sum(
        sample.count(bytes([code])) for code in (*range(9), *range(14, 27), *range(28, 32))
    )
    # Measured on text files in the wild: at most a few stray controls; a tenth is never text.
    return controls * 10 > len(sample)
