"""A drill: a deployment is lost and comes back, and every step is timed and checked.

The steps are the commands that an operator would give. What must hold: after the restore the same
question finds the same passages, what was erased after the backup stays erased, every log verifies,
and `check` finds no difference.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ragplatform import openers, wiring
from ragplatform.answer.retrieve import Request
from ragplatform.audit import query
from ragplatform.audit.events import Action
from ragplatform.config import Settings
from ragplatform.model import Principal, Purpose, Sensitivity

ROOT: Final = Path(__file__).resolve().parent.parent
CORPUS: Final = ROOT / "demo" / "corpus" / "mercy"
QUESTION: Final = "Why was apixaban stopped?"
TENANT: Final = "mercy"
_NUMBER: Final = 20


class DrillError(Exception):
    """Something that must hold after a restore does not."""


@dataclass(slots=True)
class Drill:
    """One drill: its folder, its timings, and what it saw."""

    home: Path
    folders: list[Path]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of the drill's deployment."""
        return Settings(
            data_dir=self.home / "data",
            secrets_dir=self.home / "keys",
            models_dir=ROOT / "var" / "models",
            policies_dir=ROOT / "policies",
        )

    def run(self, *command: str, good: tuple[int, ...] = (0,)) -> list[dict[str, object]]:
        """Run one of our commands; return the JSON lines that it printed.

        Raises ``DrillError`` when it ends otherwise than it must.
        """
        ours = {k: v for k, v in os.environ.items() if not k.startswith("RAGPLATFORM_")}
        chosen = self.settings
        module = {"ragplatform": "ragplatform", "ragplatform-ingest": "ingest"}[command[0]]
        done = subprocess.run(
            [sys.executable, "-m", module, *command[1:]],
            cwd=ROOT,
            env={
                **ours,
                "RAGPLATFORM_DATA_DIR": str(chosen.data_dir),
                "RAGPLATFORM_SECRETS_DIR": str(chosen.keys_dir),
                "RAGPLATFORM_MODELS_DIR": str(chosen.models_dir),
                "RAGPLATFORM_POLICIES_DIR": str(chosen.policies_dir),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in good:
            raise DrillError(f"{' '.join(command[:2])} ended with {done.returncode}: {done.stderr}")
        lines = (line for line in done.stdout.splitlines() if line.startswith("{"))
        return [json.loads(line) for line in lines]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)

    def ask(self) -> list[str]:
        """Return the ids of the passages that a cardiologist finds for the question, in order."""
        store = wiring.open_store(self.settings, "cli")
        try:
            everybody = frozenset(
                ref for one in store.catalog.documents(TENANT) for ref in one.subjects
            )
            who = Principal(
                id="drill",
                tenant=TENANT,
                roles=frozenset({"physician"}),
                departments=frozenset({"cardiology"}),
                clearance=Sensitivity.CONFIDENTIAL,
                subjects=everybody,
            )
            request = Request(who, Purpose.TREAT, QUESTION, limit=_NUMBER)
            found = wiring.open_retriever(store).retrieve(request, Action.SEARCHED)
            return [one.passage.chunk.id for one in found.passages]
        finally:
            store.close()


def drill(made: Drill) -> dict[str, object]:
    """Run the whole drill; return what it saw. Raises ``DrillError`` where something must hold."""
    data, copy, logs = made.home / "data", made.home / "backup", made.home / "logs"
    made.run("ragplatform", "init")
    where = ("--tenant", TENANT, "--collection", "clinical")
    with made.step("ingest"):
        paths = [str(folder) for folder in made.folders]
        said = made.run("ragplatform-ingest", "run", *paths, *where, "--json", good=(0, 1))
    with made.step("ask"):
        before = made.ask()
    with made.step("backup"):
        [backup] = made.run("ragplatform", "backup", str(copy), "--json")
    erased = next(str(one["document"]) for one in said if one.get("state") == "indexed")
    with made.step("erase one document"):
        made.run("ragplatform-ingest", "forget", "--tenant", TENANT, "--document", erased, "--json")
    expected = made.ask()
    # The logs outlive the rest: they are sent, witnessed or on another disk.
    shutil.copytree(data / "audit", logs)
    with made.step("destroy"):
        shutil.rmtree(data)
    with made.step("restore"):
        made.run("ragplatform", "restore", str(copy), "--audit", str(logs), "--json")
    with made.step("replay erasures"):
        made.run("ragplatform-ingest", "replay-erasures", "--json")
    with made.step("rebuild"):
        [rebuilt] = made.run("ragplatform-ingest", "rebuild", "--json")
    with made.step("check"):
        made.run("ragplatform-ingest", "check", "--json")
    _require(made.ask() == expected, "the same question finds other passages than before")
    _require(bool(before), "the question found nothing to begin with")
    with made.step("verify"):
        folders = query.find_logs(made.settings.audit_dir)
        bad = [log.name for log in folders if not openers.verify_audit(made.settings, log).ok]
    _require(not bad, f"logs that do not verify: {', '.join(bad)}")
    return {
        "documents": rebuilt["documents"],
        "chunks": rebuilt["chunks"],
        "embedded": rebuilt["embedded"],
        "backup_bytes": backup["bytes"],
        "found": len(expected),
        "logs": len(folders),
        "seconds": made.seconds,
    }


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DrillError(otherwise)


def main() -> None:
    """Run the drill in a folder of its own, and print what it saw."""
    parser = argparse.ArgumentParser(description="Lose a deployment and bring it back.")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    parser.add_argument("folders", nargs="*", type=Path, help="documents; default: the demo's")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drill-") as home:
        try:
            seen = drill(Drill(Path(home), chosen.folders or [CORPUS]))
        except DrillError as error:
            print(f"drill failed: {error}", file=sys.stderr)
            raise SystemExit(1) from error
    if chosen.json:
        print(json.dumps(seen))
        return
    for name, value in seen.items():
        if isinstance(value, dict):
            for step, taken in value.items():
                print(f"{step:>22}  {taken:8.2f} s")
        else:
            print(f"{name:>22}  {value}")


if __name__ == "__main__":
    main()
