"""The small markup in which the demo documents are written, read into blocks.

A source file is a TOML header between two ``+++`` lines, then the body: ``#`` and ``##`` headings,
paragraphs, ``-`` and ``1.`` lists, ``|`` tables, ``<!-- page -->``; a trailing backslash breaks a
line; ``**bold**`` and ``*italic*``. The output's format is the suffix before ``.md``.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

PAGE_BREAK = "<!-- page -->"
_RULE = re.compile(r"^\|[\s|:-]+\|$")
_LIST = re.compile(r"^(?:-|\d+\.) ")


@dataclass(frozen=True, slots=True)
class Source:
    """One demo document before rendering. ``path`` is relative to the tenant's folder."""

    tenant: str
    path: str
    title: str
    subjects: tuple[str, ...]
    footer: str
    body: str

    @property
    def format(self) -> str:
        """The output's suffix without its dot."""
        return self.path.rsplit(".", 1)[1]


@dataclass(frozen=True, slots=True)
class Block:
    """One run of the body: kind is h1, h2, p, ul, ol, table or page."""

    kind: str
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def read_sources(folder: Path) -> list[Source]:
    """Return every document below ``folder``, whose first level names the tenants, sorted."""
    return [_read(path, folder) for path in sorted(folder.glob("*/**/*.md"))]


def _read(path: Path, folder: Path) -> Source:
    _, header, body = path.read_text(encoding="utf-8").split("+++\n", 2)
    meta = tomllib.loads(header)
    tenant, *rest = path.relative_to(folder).parts
    return Source(
        tenant=tenant,
        path="/".join(rest).removesuffix(".md"),
        title=meta["title"],
        subjects=tuple(meta.get("subjects", ())),
        footer=meta.get("footer", ""),
        body=body.strip("\n") + "\n",
    )


def blocks(body: str) -> list[Block]:
    """Return the body's blocks in order."""
    return [_block(part.strip("\n")) for part in re.split(r"\n{2,}", body.strip("\n"))]


def _block(part: str) -> Block:
    if part == PAGE_BREAK:
        return Block("page")
    if part.startswith("## "):
        return Block("h2", (part[3:],))
    if part.startswith("# "):
        return Block("h1", (part[2:],))
    lines = part.split("\n")
    if part.startswith("|"):
        cells = [
            tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
            for line in lines
            if not _RULE.match(line)
        ]
        return Block("table", rows=tuple(cells))
    if _LIST.match(part):
        kind = "ul" if part.startswith("- ") else "ol"
        return Block(kind, tuple(_LIST.sub("", line) for line in lines))
    joined = re.sub(r"(?<!\\)\n", " ", part)
    return Block("p", tuple(line.strip() for line in joined.split("\\\n")))


def runs(line: str) -> list[tuple[str, str]]:
    """Split a line into ``(style, text)`` with style ``b``, ``i`` or empty."""
    found = re.split(r"(\*\*.+?\*\*|\*.+?\*)", line)
    styled = []
    for run in found:
        if run.startswith("**"):
            styled.append(("b", run[2:-2]))
        elif run.startswith("*") and len(run) > 2:
            styled.append(("i", run[1:-1]))
        elif run:
            styled.append(("", run))
    return styled


def plain(source: Source) -> str:
    """Return the words a reader sees, white space folded, footer last."""
    text = source.body.replace(PAGE_BREAK, " ").replace("\\\n", "\n")
    if source.format not in {"csv", "txt"}:
        text = re.sub(r"\*\*?(.+?)\*\*?", r"\1", text)
    return " ".join(f"{text} {source.footer}".split())
