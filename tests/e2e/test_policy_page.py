"""The page that teaches how to write a rule does what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "policy.md"
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_page_prints_what_the_page_shows(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    scripts = [text for kind, text in blocks if kind == "bash"]
    shown = [text for kind, text in blocks if kind == "text"]
    mark = "-- end of a block --"
    own = {key: value for key, value in os.environ.items() if not key.startswith("RAGPLATFORM_")}

    ran = subprocess.run(
        ["bash", "-c", f"\necho '{mark}'\n".join(scripts)],
        cwd=tmp_path,
        env={**own, "PATH": f"{Path(sys.executable).parent}:{own['PATH']}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )

    printed = ran.stdout.split(mark)
    assert len(printed) == len(shown) == len(scripts) >= 5, ran.stderr
    for output, expected in zip(printed, shown, strict=True):
        for line in expected.splitlines():
            assert line in output, ran.stderr
