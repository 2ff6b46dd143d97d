"""A run as figures: means with their uncertainty, latencies, and what differs between two runs."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ragplatform.errors import ConfigurationError
from ragplatform.evaluation.judging import METRICS, Judged
from ragplatform.model import Json

_FORM: Final = "ragplatform-evaluation/1"
# Enough that the third digit of a bound stays; the seed makes two reports of one run the same.
_RESAMPLES: Final = 5000
_SEED: Final = 20260101
# A bound that is drawn from fewer questions than this says nothing.
FEWEST: Final = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of one measure over the questions that it applies to, with its 95 % interval."""

    mean: float
    questions: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How one measure differs between two runs, over the questions of both.

    ``p`` is the chance to see such a difference, or a larger one, were there none.
    """

    before: float
    after: float
    questions: int
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        """The later mean less the earlier one."""
        return self.after - self.before

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval of the change leaves out zero."""
        return self.questions >= FEWEST and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class Run:
    """What became of each question of a run: scores by question and measure, and the rest."""

    name: str
    scores: Mapping[str, Mapping[str, float]]
    outcomes: Mapping[str, int]
    latency_ms: Mapping[str, float]
    said: Mapping[str, Sequence[str]]
    """Which modes, models and policies the answers name."""
    requests: Mapping[str, str]
    """By question, the request id by which the audit log knows it."""

    def figures(self) -> dict[str, Figure]:
        """Return each measure that applies to some question, in the order of ``METRICS``."""
        found = {}
        for name in METRICS:
            values = [scores[name] for scores in self.scores.values() if name in scores]
            if values:
                low, high = _interval(np.asarray(values))
                found[name] = Figure(float(np.mean(values)), len(values), low, high)
        return found

    def document(self) -> dict[str, Json]:
        """Return the run as JSON. It holds ids and figures, and no text of anybody."""
        return {
            "form": _FORM,
            "name": self.name,
            "questions": len(self.scores),
            "metrics": {
                name: {
                    "mean": round(one.mean, 4),
                    "questions": one.questions,
                    "low": round(one.low, 4),
                    "high": round(one.high, 4),
                }
                for name, one in self.figures().items()
            },
            "latency_ms": dict(self.latency_ms),
            "outcomes": dict(self.outcomes),
            "said": {name: list(values) for name, values in self.said.items()},
            "scores": {name: dict(scores) for name, scores in self.scores.items()},
            "requests": dict(self.requests),
        }


def run_of(name: str, judged: Sequence[Judged]) -> Run:
    """Return a run from its judged replies."""
    replies = [one.reply for one in judged]
    times = {
        "answer": [one.took_s for one in replies if one.took_s is not None],
        "search": [one.search_s for one in replies if one.search_s is not None],
    }
    latency = {
        f"{what}_p{percent}": round(float(np.percentile(seconds, percent)) * 1000, 1)
        for what, seconds in times.items()
        if seconds
        for percent in (50, 95)
    }
    said = {
        "modes": sorted({one.mode for one in replies if one.mode}),
        "models": sorted({one.model for one in replies if one.model}),
        "policies": sorted({one.policy for one in replies if one.policy}),
    }
    return Run(
        name=name,
        scores={one.id: dict(one.scores) for one in judged},
        outcomes=dict(sorted(Counter(str(one.outcome) for one in replies).items())),
        latency_ms=latency,
        said=said,
        requests={one.id: one.reply.request_id for one in judged if one.reply.request_id},
    )


def write_run(path: Path, run: Run) -> None:
    """Write a run as JSON. Raises ``ConfigurationError`` when the file cannot be written."""
    try:
        path.write_text(json.dumps(run.document(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from error


def read_run(path: Path) -> Run:
    """Return a run that was written. Raises ``ConfigurationError`` for a file that is none."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw["form"] != _FORM:
            raise ConfigurationError(f"{path}: written in a form that this program does not know")
        return Run(
            name=str(raw["name"]),
            scores={
                str(name): {str(k): float(v) for k, v in scores.items()}
                for name, scores in raw["scores"].items()
            },
            outcomes={str(k): int(v) for k, v in raw["outcomes"].items()},
            latency_ms={str(k): float(v) for k, v in raw["latency_ms"].items()},
            said={str(k): [str(one) for one in v] for k, v in raw["said"].items()},
            requests={str(k): str(v) for k, v in raw["requests"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{path}: not a run that `ragplatform eval` wrote") from error


def compare(before: Run, after: Run) -> dict[str, Difference]:
    """Return how each measure differs, question by question, over those that both runs have.

    Paired bootstrap. Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993),
    chapter 13; P. Koehn, Statistical significance tests for machine translation (2004).
    """
    found = {}
    both = [name for name in before.scores if name in after.scores]
    for metric in METRICS:
        pairs = [
            (before.scores[one][metric], after.scores[one][metric])
            for one in both
            if metric in before.scores[one] and metric in after.scores[one]
        ]
        if not pairs:
            continue
        earlier, later = np.asarray(pairs, dtype=np.float64).T
        means = _resampled(later - earlier)
        low, high = np.percentile(means, (2.5, 97.5))
        tail = min(float(np.mean(means <= 0)), float(np.mean(means >= 0)))
        found[metric] = Difference(
            before=float(earlier.mean()),
            after=float(later.mean()),
            questions=len(pairs),
            low=float(low),
            high=float(high),
            p=min(1.0, 2 * tail),
        )
    return found


def _interval(values: "np.ndarray[Any, np.dtype[np.float64]]") -> tuple[float, float]:
    low, high = np.percentile(_resampled(values), (2.5, 97.5))
    return float(low), float(high)


def _resampled(
    values: "np.ndarray[Any, np.dtype[np.float64]]",
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the means of samples of the values, each drawn with replacement."""
    draw = np.random.default_rng(_SEED)
    # In parts: thousands of questions by thousands of samples would fill the memory.
    parts = [
        values[draw.integers(0, len(values), (_RESAMPLES // 10, len(values)))].mean(axis=1)
        for _ in range(10)
    ]
    return np.concatenate(parts)
