"""A GLiNER model takes the tagger's place: no word of a text is left unread, places stay true."""

import importlib.util
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ragplatform import openers
from ragplatform.adapters.gliner import Found, GlinerFinder, open_gliner
from ragplatform.errors import ModelError
from tests import real_detector

TYPES = {"person": "PERSON", "code": "UNIQUE_CODE"}
WORD = re.compile(r"\w+|\S")
NAMES = re.compile(r"Angela Okafor")

installed = pytest.mark.skipif(
    importlib.util.find_spec("gliner") is None, reason="the package gliner is not installed"
)


class FindsAngela:
    """Knows one name; reads only the first words and pieces of what it is given, as models do."""

    def __init__(self, most_words: int = 60, room: int = 100, score: float = 0.9) -> None:
        self.most_words = most_words
        self._room = room
        self._score = score
        self.read: list[str] = []

    def room(self, labels: Sequence[str]) -> int:
        return self._room - len(labels)

    def words(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in WORD.finditer(text)]

    def pieces(self, words: Sequence[str]) -> list[int]:
        return [-(-len(word) // 4) for word in words]

    def predict(self, texts: Sequence[str], labels: Sequence[str]) -> list[list[Found]]:
        return [self._in(text, labels) for text in texts]

    def _in(self, text: str, labels: Sequence[str]) -> list[Found]:
        left, end = self.room(labels), 0
        for start, stop in self.words(text)[: self.most_words]:
            if left <= 0:
                break
            left -= self.pieces([text[start:stop]])[0]
            end = stop
        self.read.append(text[:end])
        return [Found(*m.span(), "person", self._score) for m in NAMES.finditer(text[:end])]


def finder(model: FindsAngela) -> GlinerFinder:
    return GlinerFinder(model, types=TYPES, version="1")


FILLER = st.sampled_from(["seen", "x" * 9, "z" * 500, ",", "\n\n", "🙂", "Ünïcode", "a" * 33])


@given(
    before=st.lists(FILLER, max_size=200),
    after=st.lists(FILLER, max_size=90),
    copies=st.integers(1, 3),
)
def test_a_name_is_found_wherever_it_stands_in_a_text_of_any_length(
    before: list[str], after: list[str], copies: int
) -> None:
    text = " ".join([*before, *(["Angela Okafor"] * copies), *after])

    [spans] = finder(FindsAngela()).find([text])

    assert [(s.start, s.end) for s in spans] == [m.span() for m in NAMES.finditer(text)]


@given(st.lists(FILLER, max_size=300))
def test_every_word_is_read_by_some_window(words: list[str]) -> None:
    model = FindsAngela()
    text = " ".join(words)

    finder(model).find([text])

    read = "\n".join(model.read)
    assert all(word in read for word in text.split())


def test_texts_are_answered_in_order_and_blank_ones_with_nothing() -> None:
    texts = ["", "Angela Okafor", " \n", "nobody"]

    answers = finder(FindsAngela()).find(texts)

    assert [len(spans) for spans in answers] == [0, 1, 0, 0]
    assert finder(FindsAngela()).find([]) == []


def test_an_answer_that_cannot_be_stops_the_search() -> None:
    with pytest.raises(ModelError):
        finder(FindsAngela(score=float("nan"))).find(["Angela Okafor"])


def test_labels_that_leave_no_room_for_text_are_refused() -> None:
    with pytest.raises(ModelError, match="fewer"):
        finder(FindsAngela(room=20))


PARTS = ["model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture
def unloaded(tmp_path: Path) -> Path:
    """Return a folder that looks like a model's until it is loaded."""
    for name in PARTS:
        (tmp_path / name).write_text("{}")
    (tmp_path / "gliner_config.json").write_text(json.dumps({"encoder_config": {"a": 1}}))
    return tmp_path


@pytest.mark.parametrize("part", PARTS)
def test_a_folder_that_lacks_a_part_is_refused_with_its_name(unloaded: Path, part: str) -> None:
    (unloaded / part).unlink()

    with pytest.raises(ModelError, match=part):
        openers._open_tagger(unloaded, None)


def test_a_pickle_is_refused(unloaded: Path) -> None:
    (unloaded / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(ModelError, match="run code"):
        open_gliner(unloaded)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"encoder_config": None},
        {"encoder_config": {"auto_map": {"AutoModel": "org/repo--code.Model"}}},
        {"encoder_config": {"a": 1}, "labels_encoder": "org/other"},
        {"encoder_config": {"a": 1}, "words_splitter_type": "spacy"},
        [],
    ],
)
def test_what_would_be_fetched_or_run_from_elsewhere_is_refused(
    unloaded: Path, config: object
) -> None:
    (unloaded / "gliner_config.json").write_text(json.dumps(config))

    with pytest.raises(ModelError):
        open_gliner(unloaded)


@pytest.mark.parametrize("types", ['{"person": "SHOE_SIZE"}', "{}", "[1]", "no json"])
def test_types_that_nobody_knows_are_refused(unloaded: Path, types: str) -> None:
    (unloaded / "entities.json").write_text(types)

    with pytest.raises(ModelError, match=r"entities\.json"):
        open_gliner(unloaded)


@pytest.mark.skipif(
    importlib.util.find_spec("gliner") is not None, reason="the package gliner is installed"
)
def test_without_the_package_the_next_step_is_named(unloaded: Path) -> None:
    with pytest.raises(ModelError, match="not installed"):
        open_gliner(unloaded)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model whose weights were drawn by chance, on a tiny encoder."""
    from gliner import GLiNER
    from transformers import BertConfig, BertTokenizerFast

    folder = tmp_path_factory.mktemp("gliner")
    BertTokenizerFast(tokenizer_file=str(real_detector.TAGGER / "tokenizer.json")).save_pretrained(
        folder
    )
    encoder = BertConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=16, max_position_embeddings=160,
    )  # fmt: skip
    torch.manual_seed(3)
    config = {
        "model_type": "gliner_uni_encoder_span", "model_name": str(folder), "span_mode": "markerV0",
        "encoder_config": encoder.to_dict(), "hidden_size": 16, "max_len": 100,
        "fine_tune": True, "dropout": 0.0,
    }  # fmt: skip
    model = GLiNER.from_config(config, backbone_from_pretrained=False)
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "entities.json").write_text(json.dumps(TYPES))
    return folder


@installed
def test_a_real_model_s_spans_are_sorted_apart_and_inside_also_in_long_texts(folder: Path) -> None:
    one = openers._open_tagger(folder, None)
    texts = ["Angela Okafor was seen at Mercy. " * 90, "", " \n", "Ünïcode 🙂 Smith", "z" * 5000]

    answers = one.find(texts)

    assert answers[1] == answers[2] == []
    assert answers[0][-1].end > len(texts[0]) - 40
    for text, spans in zip(texts, answers, strict=True):
        end = 0
        for span in spans:
            assert end <= span.start < span.end <= len(text)
            assert span.entity in TYPES.values()
            end = span.end
    assert openers._open_tagger(folder, None).find(texts) == answers


@installed
def test_a_real_model_reads_as_many_pieces_as_it_says(folder: Path) -> None:
    """What the package would cut off is never given to it: no window is longer than its limit."""
    from ragplatform.adapters import gliner

    model = gliner._LoadedModel(folder)
    room = model.room(list(TYPES))

    assert 0 < room <= 160
    assert model.pieces(["Okafor", "a" * 60, "🙂"])[0] >= 1
    words = ["seen"] * room
    assert sum(model.pieces(words)) == room
    model.predict([" ".join(words[: model.most_words])], list(TYPES))


@installed
@pytest.mark.parametrize("damage", ["lost", "no number"])
def test_weights_that_are_not_all_there_are_refused(
    folder: Path, tmp_path: Path, damage: str
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = load_file(copy / "model.safetensors")
    name = sorted(weights)[0]
    if damage == "lost":
        del weights[name]
    else:
        weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, copy / "model.safetensors")

    with pytest.raises(ModelError, match="weights"):
        open_gliner(copy)
