"""Turns a Llama-architecture GGUF file into a folder of safetensors that vLLM can serve.

vLLM on a CPU cannot run GGUF: the server reports itself healthy and dies of its first request.
The weights are de-quantised once and stored as bfloat16, so nothing is lost that the GGUF held.
"""

import contextlib
import io
import json
import os
from pathlib import Path

from ragplatform.errors import ModelError


def convert_gguf(source: Path, target: Path) -> None:
    """Write ``source``, a GGUF file, as a plain Llama model with its tokenizer into ``target``.

    The same source and library versions give the same bytes. Takes about 15 seconds for 135M
    parameters. Raises ``ModelError`` when the file holds another architecture.
    """
    # The hub client reads these at import; no file of ours may be looked for on a network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    # Three progress bars of three libraries, in place of which our own progress line stands.
    with contextlib.redirect_stderr(io.StringIO()):
        _write_weights(source, target)
        _write_tokenizer(source, target)


def _write_weights(source: Path, target: Path) -> None:
    import torch  # noqa: PLC0415 - heavy, and needed only when a model is provisioned
    from transformers import (  # noqa: PLC0415
        AutoModelForCausalLM,
        LlamaConfig,
        LlamaForCausalLM,
    )

    loaded = AutoModelForCausalLM.from_pretrained(
        str(source.parent), gguf_file=source.name, dtype=torch.float32
    )
    settings = loaded.config.to_dict()
    if settings.get("model_type") != "llama":
        raise ModelError(
            f"{source.name} holds the architecture {settings.get('model_type')!r}; wanted 'llama'"
        )
    # transformers refuses to save a model that it loaded from GGUF, even de-quantised: the same
    # tensors go into a plain model whose configuration no longer speaks of quantisation.
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path", "dtype"):
        settings.pop(name, None)
    plain = LlamaForCausalLM(LlamaConfig(**settings))
    plain.load_state_dict(loaded.state_dict(), strict=True)
    plain.bfloat16().save_pretrained(str(target))


def _write_tokenizer(source: Path, target: Path) -> None:
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    if not tokenizer.chat_template:
        raise ModelError(f"{source.name} holds no chat template, so it cannot be asked in turns")
    tokenizer.save_pretrained(str(target))
    # The path of the machine that converted must not become part of the model.
    settings = target / "tokenizer_config.json"
    kept = {
        key: value
        for key, value in json.loads(settings.read_text(encoding="utf-8")).items()
        if key not in {"name_or_path", "gguf_file", "is_local", "local_files_only"}
    }
    settings.write_text(
        json.dumps(kept, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
