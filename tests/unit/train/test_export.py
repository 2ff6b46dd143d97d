"""What is exported scores as the graph that PyTorch wrote, in fewer steps."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import BertConfig, BertModel

from ragplatform.adapters.tagger import _session
from ragplatform.adapters.wordpieces import SHAPES
from tests import real_detector
from train import export
from train.model import KINDS, Tagger

LONGEST = 64

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning"
)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Export a tagger whose weights were drawn by chance, as PyTorch writes it and as we do."""
    torch.manual_seed(3)
    encoder = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=20_000, hidden_size=48, num_hidden_layers=2, num_attention_heads=12,
        intermediate_size=96, max_position_embeddings=LONGEST,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(encoder)
    tagger = Tagger(encoder)
    plain, lean = (tmp_path_factory.mktemp(name) for name in ("plain", "lean"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "leaned", lambda model, **_: model)
        written(tagger, plain)
    written(tagger, lean)
    return plain / "tagger.onnx", lean / "tagger.onnx"


def written(tagger: Tagger, folder: Path) -> None:
    tokenizer = real_detector.TAGGER / "tokenizer.json"
    export.export(tagger, tokenizer, folder, least=dict.fromkeys(KINDS, 0.5))


@pytest.mark.parametrize("length", [1, 2, 17, LONGEST])
def test_a_text_of_any_length_is_scored_alike(graphs: tuple[Path, Path], length: int) -> None:
    chance = np.random.default_rng(length)
    given = {
        "ids": chance.integers(0, 20_000, (1, length)),
        "shapes": chance.integers(0, SHAPES, (1, length)),
    }

    (plain,), (lean,) = (_session(graph).run(["scores"], given) for graph in graphs)

    # Sums in another order round otherwise, and then a value falls into the next of 256 steps.
    assert lean.shape == plain.shape
    assert np.abs(lean - plain).mean() < 0.02 * plain.std()


def test_the_shipped_graph_adds_no_mask_and_asks_once_for_the_length() -> None:
    kinds = [node.op_type for node in onnx.load(real_detector.TAGGER / "tagger.onnx").graph.node]

    assert kinds.count("MultiHeadAttention") == 2
    assert kinds.count("SkipLayerNormalization") == 5
    assert kinds.count("Shape") == 1
    assert not {"Where", "Softmax", "LayerNormalization"} & set(kinds)
