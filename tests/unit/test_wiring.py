"""The composition root loads heavy libraries only for what needs them."""

import subprocess
import sys

# Together they take about seven seconds to import.
_HEAVY = {
    "langchain_core",
    "openai",
    "presidio_analyzer",
    "qdrant_client",
    "sentence_transformers",
    "spacy",
    "torch",
    "transformers",
}


def test_the_command_lines_start_without_the_libraries_of_models_and_servers() -> None:
    # Arrange
    program = "import sys, ragplatform.__main__, ingest.__main__; print(*sys.modules)"

    # Act
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    # Assert
    assert not _HEAVY & set(done.stdout.split())


def test_a_scan_starts_without_them_too(tmp_path) -> None:
    # Arrange: Presidio alone takes nine seconds, and only recognisers from outside need it.
    (tmp_path / "note.txt").write_text("Nothing here.\n")
    program = (
        "import sys, ragplatform.__main__ as main\n"
        "try: main.app(['privacy', 'scan', sys.argv[1]])\n"
        "except SystemExit: print(*sys.modules)"
    )

    # Act
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "note.txt")],
        capture_output=True,
        text=True,
        check=True,
    )

    # Assert
    assert not _HEAVY & set(done.stdout.split())
