"""Train the tagger of personal data: one command, on a CPU, from data that may be trained on.

    python -m train --data DIR [--encoder DIR] [--steps N] [--out DIR]

DIR holds ``pii/tab_echr144``, ``pii/meddocan_es``, ``pii/wnut17``, ``pii/presidio_research``,
``pubmedqa``, ``aci_bench`` and ``tatqa`` as ``train/README.md`` says where to get them. The encoder
is the provisioned all-MiniLM-L6-v2. Seeds are fixed: the same data, packages and processor give the
same weights. About 35 minutes on one core.
"""

import argparse
from pathlib import Path

import torch

from ragplatform.adapters.wordpieces import Wordpieces
from train.export import export
from train.fit import fit
from train.generate import Texts
from train.model import KINDS, Tagger

_SEED = 1
# How sure a finding must be. Missing a name costs more than masking a word.
LEAST = dict.fromkeys(KINDS, 0.5)


def main() -> int:
    """Train, export, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the training sets")
    parser.add_argument("--encoder", type=Path, default=Path("var/models/all-minilm-l6-v2"))
    parser.add_argument("--steps", type=int, default=1700, help="batches of about 2,048 pieces")
    parser.add_argument("--rate", type=float, default=5e-4, help="the highest learning rate")
    parser.add_argument("--out", type=Path, default=Path("var/tagger"))
    parser.add_argument(
        "--export-only", action="store_true", help="export the weights that lie in --out"
    )
    options = parser.parse_args()
    torch.manual_seed(_SEED)
    # One thread: two wait for each other more than they help, at this size.
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = options.encoder / "tokenizer.json"
    tagger = Tagger(options.encoder)
    if not options.export_only:
        texts = iter(Texts(options.data, _SEED))
        fit(
            tagger,
            texts,
            Wordpieces(tokenizer),
            steps=options.steps,
            rate=options.rate,
            out=options.out,
        )
    tagger.load_state_dict(torch.load(options.out / "tagger.pt", weights_only=True))
    export(tagger, tokenizer, options.out / "export", least=LEAST)
    print(f"wrote {options.out / 'export'}: copy it to ragplatform/weights/ and pin its hashes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
