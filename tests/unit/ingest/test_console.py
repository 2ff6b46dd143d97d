"""What commands print for people."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from ingest.commands import console

_ID = "ecfd81fd-b23d-52c3-8fdf-2cc7372899dc"


def _table() -> Table:
    table = Table("document", "collection", "reason", "since")
    table.add_row(_ID, "clinical", "contains_secret", "2026-11-26T23:24:49+00:00")
    return table


def test_a_table_in_a_file_has_every_id_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=written, width=40, soft_wrap=True))

    console.show(_table())

    assert _ID in written.getvalue()


def test_a_table_on_a_narrow_terminal_is_folded_and_never_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    terminal = Console(file=written, width=40, soft_wrap=True, force_terminal=True)
    monkeypatch.setattr(console, "out", terminal)

    console.show(_table())

    assert "…" not in written.getvalue()
