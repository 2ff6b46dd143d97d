"""Writes a fitted tagger as the platform ships it: ONNX with int8 weights, vocabulary, settings."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model

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
        whole, fused = Path(folder) / "whole.onnx", Path(folder) / "fused.onnx"
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
        encoder = tagger.encoder.config
        # One operator for what the layers do after each product: a tenth to a fifth faster.
        optimize_model(
            str(whole),
            "bert",
            num_heads=encoder.num_attention_heads,
            hidden_size=encoder.hidden_size,
            opt_level=0,
        ).save_model_to_file(str(fused))
        # Seven bits: without VNNI, sums of two full products overflow 16 bits and are cut.
        quantize_dynamic(
            fused,
            out / "tagger.onnx",
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
            # The fused operators do not say what type they give.
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    digest = hashlib.sha256((out / "tagger.onnx").read_bytes()).hexdigest()[:12]
    settings = {"version": digest, "kinds": list(KINDS), "least": dict(least)}
    (out / "tagger.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
