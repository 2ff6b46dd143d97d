"""Writes the demo's questions as a run of ``ragplatform eval``: ``python -m demo.make_evaluation``.

Names of files and of people are masked for some of the personas, so evidence is named by its page
and its words.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
QUESTIONS, RUN = HERE / "questions.jsonl", HERE / "evaluation.jsonl"


def line(question: dict[str, Any]) -> dict[str, Any]:
    """Return one question of the demo as a line of an evaluation."""
    asked = {
        "id": question["id"],
        "question": question["question"],
        "as": f"{question['tenant']}/{question['persona']}",
        "purpose": question["purpose"],
    }
    if question["kind"] == "unanswerable":
        return {**asked, "expect": "abstain"}
    item = {"quote": question["evidence"]}
    if question["page"] is not None:
        item["page"] = question["page"]
    # The answers are whole sentences of ours. What has to stand in an answer is the evidence.
    return {**asked, "relevant": [item], "answers": [question["evidence"]]}


def made() -> str:
    """Return the whole file."""
    rows = [json.loads(row) for row in QUESTIONS.read_text("utf-8").splitlines()]
    return "".join(json.dumps(line(row), ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    RUN.write_text(made(), encoding="utf-8")
