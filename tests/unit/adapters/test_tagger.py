"""The tagger finds names exactly where they stand, whatever stands around them."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ragplatform.adapters import tagger as module
from ragplatform.adapters.tagger import Tagger
from ragplatform.adapters.wordpieces import Pieces
from ragplatform.errors import ModelError
from ragplatform.models import WEIGHTS

FOLDER = WEIGHTS / "identifiers-minilm-l2"


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger(FOLDER)


def pieces(count: int) -> Pieces:
    return Pieces(*(np.arange(count, dtype=np.int64) + shift for shift in (0, 0, 0, 1)))


@pytest.mark.parametrize(
    ("text", "value", "entity"),
    [
        ("Please call Olubukunola Adeyemi tomorrow.", "Olubukunola Adeyemi", "PERSON"),
        ("hi my name is heather pustivsek and i lost my card", "heather pustivsek", "PERSON"),
        ("Dear Mr. Parkinson, thank you for your letter.", "Parkinson", "PERSON"),
        ("She grew up in Moknine and lives in Leeds.", "Moknine", "LOCATION"),
        ("He works for Palmer-Hancock Inc in Dallas.", "Palmer-Hancock Inc", "ORGANIZATION"),
    ],
)
def test_names_are_found(tagger: Tagger, text: str, value: str, entity: str) -> None:
    (spans,) = tagger.find([text])
    at = text.index(value)
    assert any(
        span.entity == entity and span.start <= at and at + len(value) <= span.end for span in spans
    )


@pytest.mark.parametrize(
    "text",
    [
        "Parkinson's disease and Crohn's disease were discussed; a Foley catheter was placed.",
        "Blindness - Dementia - Hypoplasia - Seizures - Autosomal recessive inheritance",
        "Take Lipitor and Metformin with food.",
    ],
)
def test_medicine_stays_readable(tagger: Tagger, text: str) -> None:
    assert not [span for span in tagger.find([text])[0] if span.entity == "PERSON"]


def test_what_stands_beside_a_text_changes_nothing(tagger: Tagger) -> None:
    texts = ["Angela Okafor lives in Boston.", "", "x " * 700, "Dr. Lee called."]
    assert tagger.find(texts) == [tagger.find([text])[0] for text in texts]


def test_a_name_is_found_wherever_windows_end(tagger: Tagger) -> None:
    for shift in range(0, 60, 7):
        text = (
            "The plan was discussed. " * 43
            + "and " * shift
            + "Dr. Angela Okafor agreed. "
            + "It rained. " * 90
        )
        names = [text[s.start : s.end] for s in tagger.find([text])[0] if s.entity == "PERSON"]
        assert any("Angela Okafor" in name for name in names), shift


def test_windows_cover_all_pieces_and_overlap() -> None:
    for count in (0, 1, 253, 254, 255, 476, 477, 3000):
        edges = list(module._windows(pieces(count)))
        assert (edges[-1][1] if edges else 0) == count
        assert all(0 < end - start <= module.WINDOW for start, end in edges)
        assert all(end - start == module.OVERLAP for (_, end), (start, _) in pairwise(edges))


def test_each_piece_is_read_where_most_stands_around_it() -> None:
    edges = [(0, 10), (6, 16)]
    read = [(np.full(10, n), np.full(10, n, np.float32)) for n in (1, 2)]
    labels, _ = module._stitched(16, edges, iter(read))
    assert labels.tolist() == [1] * 8 + [2] * 8


def test_a_finding_grows_to_whole_words_only() -> None:
    assert module._whole_words("unMcDonald's", 4, 8, 0) == (0, 10)
    assert module._whole_words("Smith-Jones", 6, 9, 0) == (6, 11)
    assert module._whole_words("SmithJones", 5, 8, 5) == (5, 10)


@pytest.mark.parametrize("missing", ["tagger.onnx", "tagger.json", "tokenizer.json"])
def test_a_folder_that_holds_no_tagger_is_refused(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "tagger"
    shutil.copytree(FOLDER, folder)
    (folder / missing).unlink()
    with pytest.raises(ModelError, match="holds no tagger"):
        Tagger(folder)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tagger"
    shutil.copytree(FOLDER, folder)
    settings = json.loads((folder / "tagger.json").read_text(encoding="utf-8"))
    settings["kinds"][0] = "SHOE_SIZE"
    (folder / "tagger.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ModelError, match="holds no tagger"):
        Tagger(folder)


def test_scores_that_are_no_numbers_stop_the_search(
    tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def run(self, _names: object, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.full((1, inputs["ids"].shape[1], 21), np.nan, np.float32)]

    monkeypatch.setattr(tagger, "_session", Broken())
    with pytest.raises(ModelError, match="no numbers"):
        tagger.find(["Angela Okafor"])


def test_the_runtime_holds_no_uploader_of_usage_data() -> None:
    # Native code is beyond the seal: what is not in the library cannot be switched on.
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/onnxruntime_pybind11_state*.so")
    held = library.read_bytes()
    assert b"telemetry_1ds" not in held
    assert b"events.data.microsoft.com" not in held
