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
