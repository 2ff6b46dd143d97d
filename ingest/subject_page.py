"""A report on a person as JSON, Markdown or a page: for people who have nothing of ours."""

import html
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from ragplatform.model import Json

_LISTS: Final = (
    ("values", "Identifiers that are kept"),
    ("consents", "What the person has said of purposes"),
    ("relations", "Who is related to the person"),
    ("glass", "Openings in an emergency"),
    ("disclosures", "To whom something was shown"),
    ("reports_before", "Reports like this one before"),
)
_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid;padding:.2rem .5rem;text-align:left;"
    "vertical-align:top}blockquote{border-left:3px solid;margin:.5rem 0;padding:0 1rem;"
    "white-space:pre-wrap}@media print{details{display:block}}"
)


class Form(StrEnum):
    """In which form a report is written."""

    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"


def written(report: Mapping[str, Json], form: Form) -> str:
    """Return the report as the text of a file."""
    if form is Form.JSON:
        return json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    if form is Form.HTML:
        return _page(report)
    return _markdown(report)


def _markdown(report: Mapping[str, Json]) -> str:
    parts = ["# What is held on a person\n", _table_md([_facts(report)])]
    for document in _rows(report["documents"]):
        parts.append(f"## Document: {_cell(document['title'])}\n")
        about = {k: v for k, v in document.items() if k not in {"title", "passages"}}
        parts.append(_table_md([{"what": k, "is": v} for k, v in about.items()]))
        parts += [
            "\n".join(f"> {line}" for line in str(one["text"]).splitlines()) + "\n"
            for one in _rows(document["passages"])
        ]
    for key, title in _LISTS:
        parts.append(f"## {title}\n")
        parts.append(_table_md(_rows(report[key])))
    return "\n".join(parts)


def _page(report: Mapping[str, Json]) -> str:
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        f"<title>What is held on a person</title><style>{_STYLE}</style>",
        "<h1>What is held on a person</h1>",
        _table_html([_facts(report)]),
    ]
    for document in _rows(report["documents"]):
        parts.append(f"<h2>Document: {html.escape(str(document['title']))}</h2>")
        about = {k: v for k, v in document.items() if k not in {"title", "passages"}}
        parts.append(_table_html([{"what": k, "is": v} for k, v in about.items()]))
        parts += [
            f"<blockquote>{html.escape(str(one['text']))}</blockquote>"
            for one in _rows(document["passages"])
        ]
    for key, title in _LISTS:
        parts += [f"<h2>{title}</h2>", _table_html(_rows(report[key]))]
    return "\n".join((*parts, "</html>\n"))


def _facts(report: Mapping[str, Json]) -> dict[str, Json]:
    names = ("tenant", "subject", "made_by", "purpose", "holds", "values_withheld")
    return {name: report[name] for name in names}


def _rows(value: Json) -> list[Mapping[str, Json]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _table_md(rows: Sequence[Mapping[str, Json]]) -> str:
    if not rows:
        return "None.\n"
    heads = list(rows[0])
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    lines += [f"| {' | '.join(_cell(row[head]) for head in heads)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _table_html(rows: Sequence[Mapping[str, Json]]) -> str:
    if not rows:
        return "<p>None.</p>"
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_plain(row[head]))}</td>" for head in rows[0]) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def _cell(value: Json) -> str:
    # What a document is called must not become a link or a tag in whoever's viewer.
    escaped = html.escape(_plain(value), quote=False)
    return "".join(f"\\{c}" if c in "|[]*_`\\" else c for c in escaped).replace("\n", " ")


def _plain(value: Json) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)
