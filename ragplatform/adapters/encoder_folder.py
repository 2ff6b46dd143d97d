"""What a sentence-transformers folder says of its model, read without the libraries that run it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ragplatform.ports import SEARCHED

WEIGHTS: Final = "model.safetensors"
_POOLINGS: Final = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}


@dataclass(frozen=True, slots=True)
class BertForm:
    """A model of BERT's form: how deep it is, how it pools, and how many pieces it sees."""

    layers: int
    heads: int
    epsilon: float
    first_piece: bool
    most_pieces: int


def bert_form(folder: Path) -> BertForm | None:
    """Return the form of the folder's model, or None unless all of it is known here.

    None is the answer for whatever could make a vector differ from the library's: another
    architecture or activation, another pooling, a further layer, a prompt put before every text.
    """
    if not all((folder / name).is_file() for name in (WEIGHTS, "tokenizer.json", "modules.json")):
        return None
    try:
        return _form(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def fingerprint(folder: Path) -> str:
    """Digest all that changes a passage's vector: weights, tokenizer, configuration, its text."""
    whole = hashlib.sha256(f"{SEARCHED}\n".encode())
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".json", ".txt"} and path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{digest}  {path.relative_to(folder).as_posix()}\n".encode())
    return whole.hexdigest()[:16]


def _form(folder: Path) -> BertForm | None:
    model = _read(folder / "config.json")
    own = _read(folder / "sentence_bert_config.json")
    modules = {str(one["type"]).rpartition(".")[2]: one for one in _list(folder / "modules.json")}
    pooled = _pooling(_read(folder / str(modules["Pooling"]["path"]) / "config.json"))
    prompted = _read(folder / "config_sentence_transformers.json").get("default_prompt_name")
    plain = (
        model.get("model_type") == "bert"
        and model.get("hidden_act") == "gelu"
        and model.get("position_embedding_type", "absolute") == "absolute"
        and modules.keys() - {"Normalize"} == {"Transformer", "Pooling"}
        and not own.get("do_lower_case")
        and not prompted
    )
    if not plain or pooled is None:
        return None
    places = int(model["max_position_embeddings"])
    return BertForm(
        layers=int(model["num_hidden_layers"]),
        heads=int(model["num_attention_heads"]),
        epsilon=float(model["layer_norm_eps"]),
        first_piece=pooled,
        most_pieces=min(int(own.get("max_seq_length") or places), places),
    )


def _pooling(settings: dict[str, Any]) -> bool | None:
    """Return whether the first piece alone counts, False for the mean, None for any other way."""
    asked = [name for name, value in settings.items() if name.startswith("pooling_mode") and value]
    return _POOLINGS.get(asked[0]) if len(asked) == 1 else None


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _list(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, list) else []
