"""A cross-encoder from a folder: made here, tiny and random."""

from pathlib import Path

import pytest
import torch
import transformers

from ragplatform.adapters.cross_encoder import FolderReranker
from ragplatform.errors import InvalidRequestError, ModelError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "dose", "of", "metformin", "twice"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("reranker"), labels=1)


def made(folder: Path, *, labels: int) -> Path:
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(7)
    form = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, num_labels=labels, initializer_range=1.0,
    )  # fmt: skip
    transformers.BertForSequenceClassification(form).save_pretrained(folder)
    return folder


def test_each_text_gets_one_number_in_order_and_always_the_same(folder: Path) -> None:
    reranker = FolderReranker(folder=folder)
    texts = ["metformin twice", "of what", "metformin twice"]

    judged = reranker.judge("what dose", texts)

    assert len(judged) == 3
    assert judged[0] == pytest.approx(judged[2], abs=1e-6)
    assert judged[0] != pytest.approx(judged[1], abs=1e-6)
    assert reranker.judge("what dose", []) == []


def test_half_a_character_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidRequestError):
        FolderReranker(folder=folder).judge("what", ["\ud800"])


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="provision"):
        FolderReranker(folder=tmp_path)


def test_a_model_of_several_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="more than one number"):
        FolderReranker(folder=made(tmp_path, labels=3))
