"""A published model of pairs, from a folder, says how surely a text says a sentence."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from ragplatform.adapters.entailment import FolderEntailment
from ragplatform.errors import ModelError
from tests import real_detector

PAIRS = [("Apixaban was stopped. " * 60, "It was stopped."), ("", "Nothing."), ("🙂", "Ünïcode")]


def make(folder: Path, *labels: str) -> Path:
    """Make a tiny random model with these labels."""
    config = BertConfig(
        vocab_size=30522, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, max_position_embeddings=64,
        id2label=dict(enumerate(labels)), label2id={name: n for n, name in enumerate(labels)},
    )  # fmt: skip
    torch.manual_seed(3)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer = real_detector.TAGGER / "tokenizer.json"
    BertTokenizerFast(tokenizer_file=str(tokenizer)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("labels", [("contradiction", "ENTAILMENT", "neutral"), ("LABEL_0",)])
def test_each_pair_gets_a_chance_and_always_the_same(tmp_path: Path, labels: tuple[str, ...]):
    model = FolderEntailment(make(tmp_path, *labels))

    chances = model.says(PAIRS)

    assert [0 <= chance <= 1 for chance in chances] == [True] * 3
    assert model.says(PAIRS[:1]) == pytest.approx(chances[:1], abs=1e-4)
    assert model.says([]) == []


def test_a_model_that_says_nothing_of_entailment_is_refused(tmp_path: Path):
    make(tmp_path, "positive", "negative")

    with pytest.raises(ModelError, match="entail"):
        FolderEntailment(tmp_path)


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path):
    make(tmp_path, "entailment", "neutral")
    weights = tmp_path / "model.safetensors"
    weights.rename(tmp_path / "pytorch_model.bin")

    with pytest.raises(ModelError):
        FolderEntailment(tmp_path)
