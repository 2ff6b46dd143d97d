"""What nobody sees is taken out, what people write is not; look-alikes are read as they look."""

import unicodedata

import pytest

from ragplatform.privacy.visible import folded, hides, visible


def unseen(character: str) -> bool:
    """Say from the character database alone whether a character shows nothing."""
    kind = unicodedata.category(character)
    return kind in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} and character not in "\t\n\r"


def test_every_character_that_shows_nothing_is_taken_out() -> None:
    # Signs of Arabic and Kaithi numbers are format characters that can be seen.
    shown = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    everything = (chr(code) for code in range(0x110000) if code not in shown)
    assert [hex(ord(c)) for c in everything if unseen(c) and visible(c)] == []


@pytest.mark.parametrize("code", [0x200B, 0xE0041, 0xE01EF, 0x202E, 0xFE0F, 0x3164, 0x2800, 0x1B])
def test_words_hidden_between_letters_are_gone(code: int) -> None:
    assert visible(f"po{chr(code)}tassium") == "potassium"
    assert hides(f"po{chr(code)}tassium")


@pytest.mark.parametrize(
    "text",
    [
        "Müller nahm 5 µg, ≤ 3×/Tag.",
        "Ordonnance à l'œil",
        "血压 120/80",
        "добрый день",
        "קוד",
        "é🙂",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text
    assert not hides(text)


def test_marks_stacked_on_one_letter_are_cut_and_usual_ones_are_not() -> None:
    assert visible("a" + "\u0301" * 40) == "a" + "\u0301" * 4
    assert visible("Việt") == "Việt"


@pytest.mark.parametrize(
    "text", ["hｔtps：⁄⁄еvil", "ℎttps://evil", "HTTPS://EVIL", "https://evi\u200bl"]
)
def test_an_address_is_read_as_it_looks(text: str) -> None:
    assert folded(text) == "https://evil"
