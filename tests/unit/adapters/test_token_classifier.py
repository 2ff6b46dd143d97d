"""A published token classifier takes the tagger's place: its labels become our types."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

from ragplatform.adapters.token_classifier import TokenClassifier
from ragplatform.errors import ModelError
from tests import real_detector

LABELS = ["O", "B-PATIENT", "I-PATIENT", "B-HOSP"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model that calls each piece a patient whose id is even."""
    folder = tmp_path_factory.mktemp("classifier")
    config = BertConfig(
        vocab_size=30522, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=64,
        id2label=dict(enumerate(LABELS)), label2id={name: n for n, name in enumerate(LABELS)},
    )  # fmt: skip
    torch.manual_seed(3)
    BertForTokenClassification(config).save_pretrained(folder)
    BertTokenizerFast(tokenizer_file=str(real_detector.TAGGER / "tokenizer.json")).save_pretrained(
        folder
    )
    (folder / "entities.json").write_text(json.dumps({"PATIENT": "PERSON", "HOSP": "ORGANIZATION"}))
    return folder


def test_spans_are_sorted_apart_and_inside_also_in_long_texts(folder: Path) -> None:
    classifier = TokenClassifier(folder)
    texts = ["Angela Okafor was seen at Mercy. " * 30, "", " \n", "Ünïcode 🙂 Smith"]
    answers = classifier.find(texts)
    assert len(answers) == 4
    assert answers[0]
    assert answers[1] == answers[2] == []
    for text, spans in zip(texts, answers, strict=True):
        end = 0
        for span in spans:
            assert end <= span.start < span.end <= len(text)
            assert span.entity in classifier.entities
            end = span.end


def test_the_same_text_gives_the_same_spans(folder: Path) -> None:
    one, other = TokenClassifier(folder), TokenClassifier(folder)
    assert one.version == other.version
    assert one.find(["Angela Okafor"]) == other.find(["Angela Okafor"])


@pytest.mark.parametrize("missing", ["entities.json", "config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / missing).unlink()
    with pytest.raises(ModelError):
        TokenClassifier(copy)


@pytest.mark.parametrize("types", [{"PATIENT": "SHOE_SIZE"}, {"NOBODY": "PERSON"}, {}])
def test_labels_and_types_that_nobody_knows_are_refused(
    folder: Path, tmp_path: Path, types: dict[str, str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "entities.json").write_text(json.dumps(types))
    with pytest.raises(ModelError):
        TokenClassifier(copy)
