"""The auditors' verifier, loaded from its file as an auditor would, not as part of the package."""

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import ragplatform

SCRIPT = Path(ragplatform.__file__).parent / "audit" / "verify_audit.py"


@dataclass(frozen=True)
class Verdict:
    """What it says of a log; ``first_bad`` is None where it names no record."""

    ok: bool
    first_bad: int | None
    problem: str


def load() -> ModuleType:
    """Return the script as a module of no package."""
    spec = importlib.util.spec_from_file_location("auditors_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


second = load()


def check(
    log: Path, *, key: Path | None = None, held: Path | None = None, archive: Path | None = None
) -> Verdict:
    """Check a log as its command line does."""
    try:
        trusted = second.Key(key.read_text()) if key else None
        return Verdict(True, None, second.check_log(log, trusted, held, archive))
    except second.BadError as error:
        return verdict(error)
    except (FileNotFoundError, ValueError) as error:
        return Verdict(False, None, str(error))


def verdict(error: Exception) -> Verdict:
    """Return what an error of it says."""
    problem, record = (*error.args, None)[:2]
    return Verdict(False, record, str(problem))


def exit_line(text: str) -> int | None:
    """Return the record that a line of its output names."""
    match = re.search(r"first bad record (\d+)", text)
    return int(match[1]) if match else None
