"""Each clause that docs/audit.md claims to meet names a test, and that test is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (ROOT / "docs" / "audit.md")
    .read_text("utf-8")
    .split("## Clause by clause")[1]
    .splitlines()
    if line.startswith("|") and not line.startswith(("| clause", "| ---"))
]


def named(row: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_tests_that_a_clause_names_are_there(row):
    assert named(row), "a clause names no test"
    for file, function in named(row):
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        functions = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
        assert function in functions
