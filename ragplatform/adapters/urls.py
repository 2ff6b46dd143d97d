"""Web addresses, found in time that grows with the text's length alone."""

import re
from collections.abc import Iterator
from typing import Final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer import predefined_recognizers as predefined
from presidio_analyzer.nlp_engine import NlpArtifacts

_WITH_SCHEME: Final = 0.6
_BARE: Final = 0.5
# Presidio writes its top-level domains into its pattern as "(?:org)"; they are taken from there,
# so that what counts as a web address stays what Presidio's own tests and ours were made for.
_PUBLIC: Final = frozenset(re.findall(r"\(\?:([a-z]+)\)", predefined.UrlRecognizer.BASE_URL_REGEX))
# Names that stand for the inside of a network. Source: RFC 6762 and its appendix G.
_PRIVATE: Final = frozenset({"internal", "intranet", "corp", "lan", "local"})
_TOP_LEVEL: Final = _PUBLIC | _PRIVATE
_REST: Final = r"[^\s()<>\"']*+"
_SCHEME: Final = re.compile(rf"(?i)https?://[^\s()<>\"'/]{_REST}")
# A run of labels is entered at its first label only and never given back, so that no character is
# read more than twice: the pattern this replaces read up to 253 characters again from each one.
_HOST: Final = re.compile(r"(?<![\w-])(?<![\w-]\.)[\w-]++(?:\.[\w-]++)++")
_PATH: Final = re.compile(rf"/{_REST}")
_NAMED_HOST: Final = re.compile(r"(?i)www\d{0,3}\.")


class UrlRecogniser(EntityRecognizer):
    """Finds web addresses: with a scheme, of a host called www, or by their top-level domain.

    It stands for Presidio's own, whose pattern takes seconds for a few thousand dots.
    """

    def __init__(self, supported_language: str = "en") -> None:
        super().__init__(
            supported_entities=["URL"],
            supported_language=supported_language,
            context=list(predefined.UrlRecognizer.CONTEXT),
        )

    def load(self) -> None:
        """Do nothing: the patterns are compiled already."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return the web addresses of the text; those with a scheme score higher."""
        if "URL" not in entities:
            return []
        return [
            *(self._result(*found.span(), _WITH_SCHEME) for found in _SCHEME.finditer(text)),
            *(self._result(start, end, _BARE) for start, end in _bare(text)),
        ]

    def _result(self, start: int, end: int, score: float) -> RecognizerResult:
        return RecognizerResult(
            entity_type="URL",
            start=start,
            end=end,
            score=score,
            recognition_metadata={
                RecognizerResult.RECOGNIZER_NAME_KEY: type(self).__name__,
                RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
            },
        )


def _bare(text: str) -> Iterator[tuple[int, int]]:
    """Yield where hosts stand that end in a top-level domain or start with www, and their paths."""
    at = 0
    while found := _HOST.search(text, at):
        at = found.end()
        end = at if _NAMED_HOST.match(found[0]) else _end_of_host(found[0], found.start())
        if end:
            # The search goes on behind the path: each host inside would read the rest of it again.
            path = _PATH.match(text, end)
            at = path.end() if path else at
            yield found.start(), path.end() if path else end


def _end_of_host(run: str, start: int) -> int:
    """Return where the last top-level domain of the run ends in the text; 0 when it has none."""
    end = len(run)
    for label in reversed(run.split(".")[1:]):
        before = end - len(label)
        # "mercy.org-based" holds the host mercy.org; "mercy.orgs" holds none.
        domain = label.partition("-")[0]
        if domain.lower() in _TOP_LEVEL:
            return start + before + len(domain)
        end = before - 1
    return 0
