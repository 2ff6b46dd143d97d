"""Builds the demo corpus, its labels and its gold list from ``demo/source``.

Run ``python -m demo.make_corpus`` from the repository's root. The same sources give the same bytes.
"""

import json
import sys
from pathlib import Path

from demo.dialect import Source, read_sources
from demo.gold import planted, read_cast
from demo.hostile import HOSTILE, PLANTED_SECRETS, SECRETS_FILE
from demo.render import render

HERE = Path(__file__).parent


def build() -> dict[str, bytes]:
    """Return every generated file by its path below ``demo/``."""
    sources = read_sources(HERE / "source")
    cast = read_cast(HERE / "source" / "cast.toml")
    files = {f"corpus/{source.tenant}/{source.path}": render(source) for source in sources}
    files |= {f"corpus/{path}": make() for path, make in HOSTILE.items()}
    for tenant in sorted({source.tenant for source in sources}):
        files[f"corpus/{tenant}/labels.toml"] = _labels(tenant, sources)
    rows = [row for source in sources for row in planted(source, cast)]
    rows += [
        {"file": SECRETS_FILE, "entity": "SECRET", "value": value, "person": None, "count": 1}
        for value in PLANTED_SECRETS
    ]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    files["planted.jsonl"] = "".join(lines).encode()
    return files


def _labels(tenant: str, sources: list[Source]) -> bytes:
    """Return the tenant's rules by folder, then one rule for each document about somebody."""
    rules = [(HERE / "source" / tenant / "labels.toml").read_text(encoding="utf-8")]
    for source in sources:
        if source.tenant == tenant and source.subjects:
            subjects = json.dumps(list(source.subjects))
            rule = f'\n[[rule]]\nmatch = "{source.path}"\nsubjects = {subjects}\n'
            # A relation to one of several people must not open the others' rows.
            mixed = len(source.subjects) > 1
            rules.append(rule + 'restrictions = ["mixed-subjects"]\n' * mixed)
    return "".join(rules).encode()


def main() -> None:
    """Write the generated files and remove those that no source asks for any more."""
    files = build()
    for old in sorted((HERE / "corpus").rglob("*")):
        if old.is_file() and old.relative_to(HERE).as_posix() not in files:
            old.unlink()
    for path, content in files.items():
        target = HERE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    size = sum(len(content) for content in files.values())
    sys.stdout.write(f"{len(files)} files, {size:,} bytes\n")


if __name__ == "__main__":
    main()
