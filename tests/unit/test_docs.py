"""What the documents name exists, and what the pages load is our own."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("README.md", "CONTRIBUTING.md")
NOT_OURS = ("build", "dist", "var")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
SCRIPT = re.compile(r"(?<![\w./-])(?:\./)?((?:script|\.ci)/[a-z_-]+)(?![\w./-])")
COMMAND = re.compile(r"(?<![\w./-])(ragplatform(?:-[a-z]+)?)(?= [a-z])")
# A page may link to the outside; it must never load anything from there.
LOADED = re.compile(
    r"""(?:src|srcset|action|poster|data)\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|<link\b[^>]*href\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|(?:@import|url\()\s*["']?\s*(?:https?:)?//"""
    r"""|(?:import|from|fetch\(|importScripts\()\s*["'](?:https?:)?//""",
    re.I,
)


def own_files(*endings: str) -> list[Path]:
    """Return our files with these endings: not what was built, installed or downloaded."""
    folders = [f for f in ROOT.iterdir() if f.name not in NOT_OURS and f.name[0] != "."]
    inside = [file for folder in folders if folder.is_dir() for file in folder.rglob("*")]
    return [file for file in (*folders, *inside) if file.suffix in endings and file.is_file()]


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a Markdown page that lead nowhere."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for target in LINK.findall(prose)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (page.parent / target).exists()]


def loaded_from_outside(text: str) -> list[str]:
    """Return what a page, style sheet or script would load from another host."""
    return [match.group(0) for match in LOADED.finditer(text)]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_script_that_a_guide_names_exists_and_can_be_run(guide: str) -> None:
    named = set(SCRIPT.findall((ROOT / guide).read_text(encoding="utf-8")))

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    files = [ROOT / name for name in named if (ROOT / name).is_file()]
    assert [file.name for file in files if not file.stat().st_mode & 0o111] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_that_a_guide_shows_is_installed_by_the_project(guide: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    blocks = FENCE.finditer((ROOT / guide).read_text(encoding="utf-8"))
    shown = {name for block in blocks for name in COMMAND.findall(block.group(0))}

    assert shown <= set(project["scripts"])


def test_every_relative_link_leads_somewhere() -> None:
    pages = own_files(".md")

    broken = {str(page.relative_to(ROOT)): broken_links(page) for page in pages}

    assert {page: links for page, links in broken.items() if links} == {}


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](gone.md) [b](page.md#part) [c](https://example.org) [d](#here)")

    assert broken_links(page) == ["gone.md"]


def test_no_page_loads_anything_from_another_host() -> None:
    pages = own_files(".html", ".jinja", ".j2", ".js", ".mjs", ".css", ".svg")
    # The demo's documents are input, hostile ones included; they are never served.
    ours = [page for page in pages if page.relative_to(ROOT).parts[0] != "demo"]

    found = {
        str(page.relative_to(ROOT)): loaded_from_outside(page.read_text(encoding="utf-8"))
        for page in ours
    }

    assert {page: loads for page, loads in found.items() if loads} == {}


@pytest.mark.parametrize(
    "source",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<img src=//cdn.example/x.png>",
        '<link rel="stylesheet" href="https://fonts.example/css">',
        "@import url(https://fonts.example/css);",
        "body { background: url('//cdn.example/x.png') }",
        'import { x } from "https://cdn.example/x.js";',
        'fetch("https://api.example/v1")',
    ],
)
def test_each_way_of_loading_from_another_host_would_be_found(source: str) -> None:
    assert loaded_from_outside(source)


def test_a_link_to_read_more_is_not_loading() -> None:
    source = '<a href="https://www.rfc-editor.org/rfc/rfc9162">RFC 9162</a><img src="/own.svg">'

    assert loaded_from_outside(source) == []


def test_every_decision_has_a_number_a_status_and_its_four_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, start=1):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. ")
        assert "\nStatus: " in text
        parts = re.findall(r"^## (.+)$", text, re.M)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"]
