"""Citations as annotations of type ``url_citation``, due when their mark stands in the text.

Source: OpenAI, API reference, "Annotation"; Open WebUI 0.11, ``open_webui/utils/middleware.py``:
each becomes a source, in the order of their coming, told apart by their titles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ragplatform.answer.events import ShownPassage
from ragplatform.model import Citation, Json, Purpose
from ragplatform.page_labels import page_name


@dataclass(frozen=True, slots=True)
class Note:
    """One annotation. ``start`` and ``end`` enclose its mark; equal ones, where it has none."""

    number: int
    url: str
    title: str
    start: int
    end: int

    def flat(self) -> dict[str, Json]:
        """Return it as the responses API writes it."""
        return {
            "type": "url_citation",
            "url": self.url,
            "title": self.title,
            "start_index": self.start,
            "end_index": self.end,
        }

    def nested(self) -> dict[str, Json]:
        """Return it as chat completions write it."""
        inner = {key: value for key, value in self.flat().items() if key != "type"}
        return {"type": "url_citation", "url_citation": inner}


class Notes:
    """The annotations of one answer, one for each passage cited.

    With ``counts`` a passage that is found by counting brings those before it along, their marks
    empty: else the reader would be shown another passage than the one cited.
    """

    def __init__(self, *, public_url: str, purpose: Purpose, counts: bool) -> None:
        """``public_url`` is where callers reach the service; "" makes paths of the addresses."""
        self._prefix = public_url.rstrip("/")
        self._purpose = purpose
        self._counts = counts
        self._shown: Sequence[ShownPassage] = ()
        self._text = ""
        self._waiting: dict[int, Citation] = {}
        self._told: set[int] = set()

    def found(self, shown: Sequence[ShownPassage]) -> None:
        """Learn which passages the answer may cite."""
        self._shown = shown

    def said(self, text: str) -> None:
        """Learn the next piece of the answer."""
        self._text += text

    def cited(self, citation: Citation) -> None:
        """Learn a citation of what was said."""
        if citation.number not in self._told:
            self._waiting.setdefault(citation.number, citation)

    def due(self, *, end: bool = False) -> list[Note]:
        """Return what can be told by now; at the ``end`` everything."""
        ready: list[Note] = []
        for number, citation in list(self._waiting.items()):
            mark = f"[{number}]"
            at = self._text.find(mark)
            if at < 0 and not end:
                continue
            del self._waiting[number]
            if number in self._told:
                # It came along with one behind it.
                continue
            if self._counts:
                ready += self._before(number, max(at, 0))
            span = (at, at + len(mark)) if at >= 0 else (len(self._text), len(self._text))
            title = _title(number, citation)
            ready.append(Note(number, self._url(citation.chunk), title, *span))
            self._told.add(number)
        return ready

    def _before(self, number: int, at: int) -> list[Note]:
        missing = [p for p in self._shown if p.number < number and p.number not in self._told]
        self._told.update(passage.number for passage in missing)
        return [Note(p.number, self._url(p.chunk), _title(p.number, p), at, at) for p in missing]

    def _url(self, chunk: str) -> str:
        return f"{self._prefix}/v1/sources/{quote(chunk, safe='')}?purpose={self._purpose}"


def _title(number: int, one: Citation | ShownPassage) -> str:
    """Two passages of one document must not have one title: they would count as one source."""
    page = f", {page_name(one.page, one.page_label)}" if one.page else ""
    return f"[{number}] {one.title}{page}"
