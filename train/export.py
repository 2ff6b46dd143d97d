"""Writes a fitted tagger as the platform ships it: ONNX with int8 weights, vocabulary, settings."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from train.graph import leaned
from train.model import KINDS, Tagger

_OPSET: Final = 17


class _Scores(torch.nn.Module):
    """The tagger for one window at a time: nothing is padded, so nothing is masked."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self._tagger = tagger

    def forward(self, ids: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
        return self._tagger(ids, shapes, None)


def export(tagger: Tagger, tokenizer: Path, out: Path, *, least: Mapping[str, float]) -> None:
    """Write ``tagger.onnx``, ``tokenizer.json`` and ``tagger.json`` into the folder.

    ``least`` says for each kind how sure a finding must be, from 0 to 1.
    """
    out.mkdir(parents=True, exist_ok=True)
    example = (torch.randint(1000, 20000, (1, 64)), torch.randint(0, 32, (1, 64)))
    with tempfile.TemporaryDirectory() as folder:
        whole, quantised = Path(folder) / "whole.onnx", Path(folder) / "quantised.onnx"
        torch.onnx.export(
            _Scores(tagger.eval()),
            example,
            str(whole),
            input_names=["ids", "shapes"],
            output_names=["scores"],
            dynamic_axes={"ids": {1: "n"}, "shapes": {1: "n"}, "scores": {1: "n"}},
            dynamo=False,
            opset_version=_OPSET,
        )
        # Seven bits: without VNNI, sums of two full products overflow 16 bits and are cut.
        quantize_dynamic(
            whole,
            quantised,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
        )
        encoder = tagger.encoder.config
        lean = leaned(
            onnx.load(quantised),
            layers=encoder.num_hidden_layers,
            heads=encoder.num_attention_heads,
        )
        onnx.save(lean, out / "tagger.onnx")
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    digest = hashlib.sha256((out / "tagger.onnx").read_bytes()).hexdigest()[:12]
    settings = {"version": digest, "kinds": list(KINDS), "least": dict(least)}
    (out / "tagger.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
