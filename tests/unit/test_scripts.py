"""The commands of the repository parse, stop at the first failure, and refuse the unknown."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELL = sorted(
    file.relative_to(ROOT).as_posix()
    for folder in ("script", ".ci")
    for file in (ROOT / folder).iterdir()
    if file.is_file() and file.read_bytes().startswith(b"#!/usr/bin/env bash")
)


def test_the_commands_that_the_guides_promise_are_there() -> None:
    assert {".ci/run", "script/bench", "script/lint", "script/setup", "script/test"} <= set(SHELL)


@pytest.mark.parametrize("name", SHELL)
def test_a_command_parses_stops_at_the_first_failure_and_can_be_run(name: str) -> None:
    file = ROOT / name

    parsed = subprocess.run(["bash", "-n", file], capture_output=True, check=False)

    assert parsed.returncode == 0, parsed.stderr.decode()
    assert "\nset -euo pipefail\n" in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o111


@pytest.mark.parametrize("command", [("script/lint", "--typo"), ("script/bench", "typo")])
def test_an_unknown_argument_is_refused_before_anything_runs(command: tuple[str, str]) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=10)

    assert ran.returncode == 2
    assert "typo" in ran.stderr.decode()
    assert ran.stdout == b""


def test_ci_checks_before_it_tests_and_the_tests_come_last() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert lines[-2:] == ["script/lint", "script/test"]
    assert (ROOT / "script" / "test").read_text(encoding="utf-8").splitlines()[-1] == (
        'exec "$python" -m pytest "${side_by_side[@]}" "$@"'
    )
