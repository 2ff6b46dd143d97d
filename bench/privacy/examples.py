"""Published sets of texts in which people marked the personal data.

Each reader takes the folder of one set and returns the set's views: the same texts, in the same
order, with what counts as gold in that view. The sets stay where they are; nothing of them is kept.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Gold = tuple[int, int, str]


@dataclass(frozen=True)
class Example:
    """One text and where its personal data lies: start, end, type.

    A finding in ``neutral`` counts neither as right nor as false: what stands there is no gold, yet
    finding it is no mistake.
    """

    text: str
    gold: tuple[Gold, ...]
    neutral: tuple[Gold, ...] = ()


Views = Mapping[str, list[Example]]
Reader = Callable[[Path, int | None], Views]


def presidio_research(folder: Path, limit: int | None) -> Views:
    """Return the sentences that Presidio's own evaluation uses (MIT)."""
    raw = json.loads((folder / "generated_large.json").read_text(encoding="utf-8"))[:limit]
    keys = ("start_position", "end_position", "entity_type")
    examples = [
        Example(one["full_text"], tuple(_gold(span, keys) for span in one["spans"])) for one in raw
    ]
    return {"presidio_research": examples}


def tab(folder: Path, limit: int | None) -> Views:
    """Return the development half of the Text Anonymization Benchmark (MIT), in two views.

    What points at the person directly, and that with what does so together with other facts. What
    its annotators chose not to mask is false when found, except that in the first view the
    quasi-identifiers are neutral.

    Source: Pilan et al., Computational Linguistics 48(4), 2022, section 4.
    """
    direct, both = [], []
    for one in [one for one in _lines(folder / "docs.jsonl") if one["split"] == "dev"][:limit]:
        marked = _listed(one["entities"])
        by_kind = {
            kind: tuple(_gold(span) for span in marked if span["identifier"] == kind)
            for kind in ("DIRECT", "QUASI")
        }
        direct.append(Example(one["text"], by_kind["DIRECT"], by_kind["QUASI"]))
        both.append(Example(one["text"], by_kind["DIRECT"] + by_kind["QUASI"]))
    return {"tab_direct": direct, "tab_direct_and_quasi": both}


def kiji(folder: Path, limit: int | None) -> Views:
    """Return Kiji's short texts of 26 types (Apache-2.0)."""
    keys = ("start", "end", "label")
    raw = _lines(folder / "samples.jsonl")[:limit]
    return {
        "kiji": [
            Example(one["text"], tuple(_gold(s, keys) for s in one["entities"])) for one in raw
        ]
    }


_PLACEHOLDER = re.compile(r"<presidio_anonymized_\w+>", re.I)


def pupa(folder: Path, limit: int | None) -> Views:
    """Return real prompts whose personal strings people listed (MIT).

    The strings come folded and without places: every whole-word occurrence is gold. Values that
    its publishers had already replaced by a placeholder are neutral.
    """
    examples = []
    for one in _lines(folder / "PUPA_New.jsonl")[:limit]:
        text = one["user_query"]
        blank = tuple((*found.span(), "PLACEHOLDER") for found in _PLACEHOLDER.finditer(text))
        units = {unit.strip() for unit in one["pii_units"].split("||")}
        places = {
            place
            for unit in units
            if unit and "presidio_anonymized" not in unit.lower()
            for place in _occurrences(text, unit)
        }
        gold = tuple((start, end, "UNIT") for start, end in sorted(places))
        examples.append(Example(text, gold, blank))
    return {"pupa": examples}


def meddocan(folder: Path, limit: int | None) -> Views:
    """Return the Spanish clinical cases of MEDDOCAN's development part (CC BY 4.0).

    Sex and family terms are gold there, though they are no identifiers: neutral.
    """
    left_out = {"SEXO_SUJETO_ASISTENCIA", "FAMILIARES_SUJETO_ASISTENCIA"}
    examples = []
    for one in _lines(folder / "dev.jsonl")[:limit]:
        marked = [_gold(span) for span in _listed(one["entities"])]
        examples.append(
            Example(
                one["text"],
                tuple(gold for gold in marked if gold[2] not in left_out),
                tuple(gold for gold in marked if gold[2] in left_out),
            )
        )
    return {"meddocan": examples}


def wnut17(folder: Path, limit: int | None) -> Views:
    """Return the development part of WNUT-17 (CC BY 4.0): rare names in comments.

    People, places, groups and companies are gold; products and works are neutral.
    """
    blocks = (folder / "emerging.dev.conll").read_text(encoding="utf-8").split("\n\n")
    return {"wnut17": [_wnut_example(block) for block in blocks if block.strip()][:limit]}


def _wnut_example(block: str) -> Example:
    text, marked = "", list[list[Any]]()
    for line in block.strip().splitlines():
        word, _, tag = line.rpartition("\t")
        text += " " if text else ""
        if tag.startswith("B-"):
            marked.append([len(text), 0, tag[2:]])
        text += word
        if tag != "O":
            marked[-1][1] = len(text)
    golds = [(start, end, kind) for start, end, kind in marked]
    ours = {"person", "location", "group", "corporation"}
    return Example(
        text,
        tuple(gold for gold in golds if gold[2] in ours),
        tuple(gold for gold in golds if gold[2] not in ours),
    )


def _gold(span: Mapping[str, Any], keys: Iterable[str] = ("start", "end", "type")) -> Gold:
    start, end, kind = (span[key] for key in keys)
    return int(start), int(end), str(kind)


def _listed(entities: Any) -> list[dict[str, Any]]:
    """Return the spans of a record: a list, or in some copies a list in Python's own writing."""
    spans: list[dict[str, Any]] = (
        ast.literal_eval(entities) if isinstance(entities, str) else entities
    )
    return spans


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _occurrences(text: str, unit: str) -> list[tuple[int, int]]:
    words = r"\s+".join(re.escape(word) for word in unit.split())
    return [found.span() for found in re.finditer(rf"(?i)(?<![^\W_]){words}(?![^\W_])", text)]


READERS: Mapping[str, Reader] = {
    "presidio_research": presidio_research,
    "tab_echr144": tab,
    "kiji": kiji,
    "pupa": pupa,
    "meddocan_es": meddocan,
    "wnut17": wnut17,
}
