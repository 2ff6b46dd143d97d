"""The vocabulary of the log: for each action what it means and what its records hold.

It is closed in fields too. ``record.encode`` refuses an event with a detail or a sealed part that
is not listed here, so an act with it does not happen. To record something new, add it here first;
``ragplatform audit vocabulary >docs/audit-events.md`` then writes the page of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from ragplatform.audit.details import Detail, Kind, by_name, check
from ragplatform.audit.events import Action
from ragplatform.model import Json

# The format of records in which an entry without a mark was already written.
_FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What one action means, since which format of records it is written, and what it holds."""

    meaning: str
    details: tuple[Detail, ...] = ()
    sealed: tuple[str, ...] = ()
    """The names of the sealed parts that its records may hold."""
    since: int = _FIRST
    known: Mapping[str, Detail] = field(init=False, repr=False, compare=False)
    needed: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", MappingProxyType(by_name(self.details)))
        needed = tuple(one.name for one in self.details if one.required)
        object.__setattr__(self, "needed", needed)


def require_known(action: Action, details: Mapping[str, Json], sealed: Mapping[str, str]) -> None:
    """Refuse an event that says what its action's entry does not list.

    Raises ``ValueError`` or ``TypeError``, without any value.
    """
    entry = VOCABULARY[action]
    check(details, entry.known, entry.needed)
    if not sealed.keys() <= set(entry.sealed):
        raise ValueError(f"a sealed part is none of {', '.join(entry.sealed) or 'none'}")


def _id(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.ID, meaning, required)


def _ids(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.ID, meaning, required, many=True)


def _code(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.CODE, meaning, required)


def _digest(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.DIGEST, meaning, required)


def _count(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.COUNT, meaning, required)


def _counts(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.COUNTS, meaning, required)


def _moment(name: str, meaning: str, *, required: bool = True) -> Detail:
    return Detail(name, Kind.MOMENT, meaning, required)


def _parts(name: str, meaning: str, *parts: Detail, required: bool = True) -> Detail:
    return Detail(name, Kind.PART, meaning, required, many=True, parts=parts)


_SCOPE: Final = _digest("scope", "Key of the scope: equal keys, equal rights.", required=False)
_CHUNK: Final = _id("chunk", "The passage.")
_DOCUMENT: Final = _id("document", "The document.")
_BATCH: Final = _id("batch", "The batch.")
_RUN: Final = _id("run", "The run, by which its own records are found.")
_POLICIES: Final = _ids("policies", "The `@id` of the policies that decided.")
_STANDING: Final = (
    _ids("glass", "Openings by broken glass that were in force.", required=False),
    _ids("dark", "Access feeds too old to be believed; they counted for nothing.", required=False),
)
_QUESTION: Final = (
    _SCOPE,
    *_STANDING,
    _count("number", "Most passages that were asked for.", required=False),
    _ids("collections", "Collections that the caller narrowed it to.", required=False),
    _count("earlier", "Earlier questions that helped to understand it.", required=False),
    Detail("filters", Kind.CODE, "By what else the caller narrowed it.", required=False, many=True),
)
_SHOWN: Final = (
    _SCOPE,
    *_STANDING,
    Detail(
        "kept_to",
        Kind.CODE,
        "By which facts of the question some documents were searched apart; `names`: of whom.",
        required=False,
        many=True,
    ),
    Detail(
        "nothing_there",
        Kind.FLAG,
        "Whether nothing was found in those, and all of the scope was searched.",
        required=False,
    ),
    _parts(
        "passages",
        "Each passage shown, best first.",
        _CHUNK,
        _DOCUMENT,
        _id("generation", "Version of the document's passages."),
        _id("access_class", "Digest of the labels it was decided by."),
        Detail("subjects", Kind.DIGEST, "First of those it is about.", many=True),
        _count("subjects_total", "How many it is about."),
        _POLICIES,
        required=False,
    ),
    _counts("revealed", "Values in clear in them, by type.", required=False),
    _count("found", "How many passages the search gave.", required=False),
    _counts("left_out", "How many of those were not shown, by why.", required=False),
    _ids(
        "orders",
        "Passages that speak to a model: shown, never quoted nor given to it.",
        required=False,
    ),
    _count("part", "Which record of one act this is, from 2: more subjects.", required=False),
    _id("chunk", "The passage that was denied, where it looks like an id.", required=False),
)
_ENDED: Final = (
    _SCOPE,
    _code("mode", "How it was made: extractive, abstractive, refusal."),
    _id("model", "Name of the model; absent where none took part.", required=False),
    _ids("cited", "Passages cited, in order."),
    _counts("dropped", "Sentences of the model that no passage supports, by why."),
    _count("marked", "How many of those were shown, marked as unsupported.", required=False),
    _count("conflicts", "Passages quoted since they contradict the answer.", required=False),
    _count("gaps", "Remarks that a part of the question is not answered.", required=False),
    _counts("redactions", "Values taken out of the answer, by type."),
    _code("refusal", "Why there was no answer.", required=False),
)
_TEXTS: Final = (
    _count("texts", "How many texts were brought.", required=False),
    _count("characters", "How long they were together.", required=False),
    _id("collection", "By whose rules they were treated.", required=False),
)
_TAKEN_IN: Final = (
    _DOCUMENT,
    _id("generation", "Version of the document's passages."),
    _count("chunks", "How many passages."),
    _counts("found", "Values of personal data found, by type."),
    _id("access_class", "Digest of the labels."),
    _count("orders", "How many of them speak to a model; absent where none does.", required=False),
)
_HOLD: Final = (
    _id("case", "Keyed reference of the case."),
    _code("on", "document, subject or collection; absent for all of a case.", required=False),
    _id("document", "The document.", required=False),
    _id("collection", "The collection.", required=False),
)
# What was asked and what was said, of which each record holds what is new.
_TEXT_OF_BOTH: Final = ("question", "answer")
_ASKED_TEXTS: Final = (*_TEXT_OF_BOTH, "earlier", "filters")
_OPENING: Final = _id("opening", "The opening.")
_WITNESS: Final = (
    _id("witness", "The witness: its folder or address."),
    _id("log", "The log."),
    _count("held", "Records in the state that the witness holds."),
    _count("records", "Records that the log has."),
    _count("behind_s", "For how many seconds the witness has lagged."),
)

VOCABULARY: Final[Mapping[Action, Entry]] = MappingProxyType(
    {
        Action.STARTED: Entry(
            "A process began to serve or to work.",
            (
                _code("version", "Version of the program."),
                _digest("config", "Digest of the settings, without secrets."),
            ),
        ),
        Action.STOPPED: Entry(
            "A process ended in order.",
            (_code("version", "Version of the program."),),
        ),
        Action.RECOVERED: Entry(
            "Opening the log cut off an end that a crash left unfinished, and kept it aside.",
            (
                _id("kept_as", "The file it is kept in, beside the log."),
                _count("bytes", "Its length."),
                _digest("sha256", "Its digest."),
                _count("unacknowledged_records", "Records in it; none was ever acknowledged."),
            ),
        ),
        Action.RESUMED: Entry(
            "The log takes records again, after a time in which it took none. An alarm.",
            (
                _moment("since", "When the first record failed."),
                _moment("until", "When it was open again."),
                _code("reason", "What failed first, such as ENOSPC."),
                _count("refused", "Acts that could not be recorded, and so did not happen."),
                _counts("refused_by_action", "The same by action."),
                _count("failed_tries", "Times it was opened anew in vain."),
            ),
            since=2,
        ),
        Action.POLICY_CHANGED: Entry(
            "A process runs under other policies than when it last started.",
            (
                _digest("before", "Digest of the policies before.", required=False),
                _digest("after", "Digest of the policies in force now."),
            ),
            since=2,
        ),
        Action.AUTHENTICATED: Entry(
            "A credential was accepted for the first time in an hour by this process.",
            (_ids("roles", "The roles that came with it."),),
            since=2,
        ),
        Action.AUTHENTICATED_FAILED: Entry(
            "A caller did not prove who it is.",
            (
                _count("attempts", "Attempts since the record before."),
                _code("reason", "Why the last one failed.", required=False),
            ),
        ),
        Action.TURNED_AWAY: Entry(
            "A caller had as much at work as it may.",
            (_count("requests", "Requests turned away since the record before."),),
        ),
        Action.DENIED: Entry(
            "Policy, or a rule that no policy can lift, denied an act.",
            (
                _code("reason", "Why, where no policy decided.", required=False),
                _code("act", "The act that was denied.", required=False),
                _ids("policies", "The `@id` of the policies that decided.", required=False),
                _SCOPE,
                *_TEXTS,
            ),
        ),
        Action.ASKED: Entry(
            "A question was asked; recorded before anything is searched.", _QUESTION, _ASKED_TEXTS
        ),
        Action.SEARCHED: Entry(
            "A search was asked for; recorded before it runs.", _QUESTION, _ASKED_TEXTS
        ),
        Action.RETRIEVED: Entry(
            "Passages were found and decided on; recorded before any is shown or sent to a model.",
            _SHOWN,
            ("searched",),
        ),
        Action.GENERATED: Entry(
            "A model wrote, from these passages.",
            (
                _SCOPE,
                _id("model", "Name under which it is served."),
                _digest("model_digest", "Digest of its pinned files.", required=False),
                _id("adapter", "Name of the adapter on it.", required=False),
                _digest("adapter_digest", "Digest of its pinned files.", required=False),
                _code("mode", "What it was for: extractive joins quotes, abstractive writes."),
                _ids("given", "The passages that stood in the prompt, in order."),
                _counts("left_out", "Passages shown but not in the prompt, by why."),
                _count("characters", "How much it wrote."),
                _count("prompt_tokens", "What it read, as its server counts.", required=False),
                _count("completion_tokens", "What it wrote, likewise.", required=False),
                Detail("complete", Kind.FLAG, "Whether it came to its end."),
            ),
            since=2,
        ),
        Action.ANSWERED: Entry(
            "An answer is complete; recorded before its last piece leaves.", _ENDED, _TEXT_OF_BOTH
        ),
        Action.EXIT_BLOCKED: Entry(
            "What a model wrote held its instructions, or what left could have carried data away: "
            "the answer was cut. An alarm.",
            (
                _SCOPE,
                _code("found", "canary, link, markup, call or hidden."),
                _code("where", "written by the model, or leaving at the exit."),
                _id("model", "Name of the model."),
            ),
            ("answer",),
            since=2,
        ),
        Action.REFUSED: Entry(
            "There was no supported answer, and the caller was told so.", _ENDED, _TEXT_OF_BOTH
        ),
        Action.ABANDONED: Entry(
            "The caller went away before the answer was complete.",
            (_SCOPE, _count("pieces_sent", "Pieces that left.")),
            _TEXT_OF_BOTH,
        ),
        Action.FAILED: Entry(
            "An act broke off.",
            (
                _SCOPE,
                _code("code", "The error's code, or the kind of a bug of ours."),
                _count("pieces_sent", "Pieces of an answer that left.", required=False),
                *_TEXTS,
            ),
            _TEXT_OF_BOTH,
        ),
        Action.SOURCE_VIEWED: Entry(
            "One passage was opened, or that was denied; recorded before it is shown.", _SHOWN
        ),
        Action.CHAT_TASK: Entry(
            "A chat screen asked for a title, tags or the like; nothing was searched for it.",
            (_code("task", "Which."),),
            since=2,
        ),
        Action.EMBEDDED: Entry(
            "Texts that a caller brought were turned into vectors, without what is personal.",
            (
                *_TEXTS,
                _id("model", "Name of the encoder's model."),
                _counts("replaced", "Values taken out before, by type."),
            ),
            since=2,
        ),
        Action.BATCH_BROUGHT: Entry(
            "A file of requests for a batch was brought; recorded before it can be used.",
            (_id("file", "Its id."), _count("bytes", "Its size.")),
            since=2,
        ),
        Action.BATCH_ASKED: Entry(
            "A batch was asked for; its lines' own records bear its id as their trace.",
            (
                _BATCH,
                _id("file", "The file of its requests."),
                _code("endpoint", "completions, responses or embeddings."),
                _count("lines", "How many requests."),
            ),
            since=2,
        ),
        Action.BATCH_CANCELLED: Entry("No further line of a batch begins.", (_BATCH,), since=2),
        Action.BATCH_ENDED: Entry(
            "A batch came to its end; recorded before its answers can be read.",
            (
                _BATCH,
                _code("state", "completed, expired or cancelled."),
                _counts("lines", "Its lines, by how they ended."),
            ),
            since=2,
        ),
        Action.BATCH_READ: Entry(
            "The answers of a batch, or its errors, were taken; recorded before.",
            (_BATCH, _count("lines", "How many.")),
            since=2,
        ),
        Action.BATCH_REMOVED: Entry(
            "A file of requests, or a batch with its answers, is destroyed; recorded before.",
            (
                _id("batch", "The batch.", required=False),
                _id("file", "The file of requests.", required=False),
            ),
            since=2,
        ),
        Action.ANALYSED: Entry(
            "Texts that a caller brought were searched for personal data.",
            (*_TEXTS, _counts("found", "Values found, by type.")),
        ),
        Action.REDACTED: Entry(
            "Texts that a caller brought were given back without personal data.",
            (
                *_TEXTS,
                _code("mode", "mask or policy."),
                _counts("replaced", "Values taken out, by type."),
                _counts("kept", "Values left in by the rules, by type."),
            ),
        ),
        Action.REPORTED: Entry(
            "What became of a collection's personal data was counted, or samples were looked at.",
            (
                _id("collection", "The collection.", required=False),
                _count("documents", "Documents counted.", required=False),
                _count("samples", "Passages drawn to be looked at.", required=False),
            ),
            ("reason",),
        ),
        Action.DISAGREED: Entry(
            "The filter let a passage through that policy denies: it was dropped. An alarm.",
            (
                _SCOPE,
                _CHUNK,
                _DOCUMENT,
                _POLICIES,
                Detail("errors", Kind.NOTE, "What the policies failed with.", many=True),
            ),
        ),
        Action.INGEST_ASKED: Entry(
            "A run of ingest was asked for; recorded before it waits in the queue.",
            (
                _RUN,
                _code("kind", "What it takes in: file, source."),
                _id("collection", "Where to."),
                _count("bytes", "Size of the file; 0 for a source."),
                _id("source", "The source.", required=False),
            ),
            since=2,
        ),
        Action.INGEST_CANCELLED: Entry(
            "A run that waits or is at work is to end.", (_RUN,), since=2
        ),
        Action.UPLOAD_REMOVED: Entry(
            "A file that was brought is taken back, and its run ended; recorded before.",
            (_RUN, _count("documents", "How many documents it became.")),
            since=2,
        ),
        Action.INGEST_STARTED: Entry(
            "A document is taken in; recorded before any of it can be found.", _TAKEN_IN
        ),
        Action.INGESTED: Entry("A document was taken in.", _TAKEN_IN),
        Action.INGEST_FINISHED: Entry(
            "A run of ingest came to its end.",
            (
                _counts("states", "Its files, by what became of them."),
                _code("ended", "done, or cancelled before all was seen.", required=False),
                _count(
                    "not_removed",
                    "Files that the source has no more and that stay: too many at once.",
                    required=False,
                ),
            ),
        ),
        Action.QUARANTINED: Entry(
            "A file was kept out; what was there of an older version is taken out.",
            (
                _code("reason", "Why."),
                _code("state", "quarantined, or failed: the next run tries it again."),
                _id("document", "The document, where it got as far as that.", required=False),
            ),
        ),
        Action.QUARANTINE_READ: Entry(
            "Somebody read which documents are put aside, or why one is; recorded before.",
            (
                _count("items", "How many, of a list.", required=False),
                _id("collection", "The collection that the list was narrowed to.", required=False),
                _id("document", "The document, of one.", required=False),
                _counts("found", "Values of personal data in it, by type.", required=False),
                _count("characters", "How much masked text was shown.", required=False),
            ),
            since=2,
        ),
        Action.QUARANTINE_DECIDED: Entry(
            "Somebody decided about documents that are put aside, or was denied; recorded before.",
            (
                _code("act", "release, approve, relabel, reject, retry or rule."),
                _ids("documents", "The documents.", required=False),
                _id("generation", "The version that it holds for.", required=False),
                _code("why", "Why it was put aside.", required=False),
                Detail("waives", Kind.CODE, "Reasons not to count.", required=False, many=True),
                _id("asked_by", "Who asked for the release that is approved.", required=False),
                _moment("ends", "Until when the release may be approved.", required=False),
                _code("reason", "Why it was denied or came to nothing.", required=False),
                _code("do", "What the proposed rule does.", required=False),
            ),
            ("reason",),
            since=2,
        ),
        Action.QUARANTINE_RULED: Entry(
            "A rule decided about a document that would be put aside; recorded before.",
            (
                _DOCUMENT,
                _id("generation", "Version of the document's passages."),
                _id("rule", "The rule's id."),
                _code("act", "mask or reject."),
                _code("reason", "The reason that the rule speaks of."),
                _digest("rules", "Digest of the file of rules."),
            ),
            since=2,
        ),
        Action.SILENCE: Entry(
            "A run over a collection of personal data found none. An alarm.",
            (
                _id("collection", "The collection."),
                _count("documents", "How many documents it searched."),
            ),
            since=2,
        ),
        Action.RELABELLED: Entry(
            "A document gets other labels; recorded before they hold.",
            (
                _DOCUMENT,
                _id("before", "Digest of its labels before."),
                _id("after", "Digest of its labels from now on."),
            ),
        ),
        Action.HELD: Entry(
            "A case puts something on legal hold, or that was denied; recorded before it holds.",
            _HOLD,
            ("reason",),
            since=2,
        ),
        Action.RELEASED: Entry(
            "A case's legal holds end, one or all, or that was denied; recorded before.",
            _HOLD,
            ("reason",),
            since=2,
        ),
        Action.HOLDS_READ: Entry(
            "Somebody read which legal holds there are, or was denied it.",
            (
                _id("case", "Keyed reference of the one case.", required=False),
                _count("holds", "How many.", required=False),
            ),
            since=2,
        ),
        Action.REMOVED: Entry(
            "A document is taken out, since where it came from has it no more; recorded before.",
            (
                _DOCUMENT,
                _code("reason", "left_source, left_container or became_container."),
                _id("source", "The configured source that it came from.", required=False),
            ),
            since=2,
        ),
        Action.ERASURE_ORDERED: Entry(
            "People or a document are to be erased by an order; recorded before.",
            (_id("erasure", "The order's id."), _count("named", "How many it names.")),
            since=2,
        ),
        Action.ERASURE_READ: Entry(
            "How far an order to erase is was asked for, or that was denied.",
            (_id("erasure", "The order's id."),),
            since=2,
        ),
        Action.ERASED: Entry(
            "A document or all of a subject is erased, or that was denied; recorded before.",
            (
                _id("document", "The document.", required=False),
                _count("documents", "Documents that a subject's erasure took.", required=False),
                _ids("contents", "Keyed marks of the contents that it had.", required=False),
                Detail("reason", Kind.NOTE, "Why it was denied.", required=False),
                _id("rule", "The rule of retention.toml that asked for it.", required=False),
                _digest("retention", "Digest of retention.toml.", required=False),
            ),
        ),
        Action.ERASURE_CERTIFIED: Entry(
            "An erasure was looked over and certified.",
            (
                _digest("sha256", "Digest of the certificate's text."),
                _count("documents", "Documents that it names as erased."),
                _count("records", "Records of the erasure that it names."),
            ),
            since=2,
        ),
        Action.CERTIFICATE_READ: Entry(
            "The kept copy of a certificate of erasure was asked for, or that was denied.",
            (_id("certificate", "Its id; empty for what is none."),),
            since=2,
        ),
        Action.SUBJECT_REPORTED: Entry(
            "All that is held on a subject is put together, or that was denied; recorded before.",
            (
                _count("documents", "Documents about the subject.", required=False),
                _count("passages", "Passages of them.", required=False),
                _counts("values", "Values shown in clear, by type.", required=False),
                _code("format", "markdown, json or html.", required=False),
                Detail("reason", Kind.NOTE, "Why it was denied.", required=False),
            ),
            since=2,
        ),
        Action.KEYS_RETIRED: Entry(
            "Keys of people of whom nothing is kept are destroyed, or that was denied; before.",
            (
                _count("keys", "How many keys."),
                Detail("reason", Kind.NOTE, "Why it was denied.", required=False),
            ),
            since=2,
        ),
        Action.SEAL_DESTROYED: Entry(
            "The questions and answers sealed in these records become unreadable; recorded before.",
            (
                _id("origin", "The log that they stand in."),
                Detail("records", Kind.COUNT, "Their indexes.", many=True),
            ),
            since=2,
        ),
        Action.INDEX_REBUILT: Entry(
            "The index is made again from ledger, catalog and archive; recorded before and after.",
            (
                _code("stage", "begun, orphan or stale (one document's passages go), or done."),
                _counts("faults", "Documents by what differed, or is left.", required=False),
                _id("document", "The document, where passages of one go.", required=False),
                _count("documents", "Documents written again.", required=False),
                _count("chunks", "Passages written again.", required=False),
            ),
            since=2,
        ),
        Action.INDEX_SWITCHED: Entry(
            "Another edition of the index answers from now on; recorded before it does.",
            (
                _id("before", "The edition until now.", required=False),
                _id("after", "The edition from now on."),
                _id("model", "Name of the encoder's model."),
                _count("documents", "Documents in it."),
                _count("chunks", "Passages in it."),
            ),
            since=2,
        ),
        Action.BACKED_UP: Entry(
            "A backup is made; recorded before, and once more when it is whole.",
            (
                _id("backup", "Its id."),
                _code("stage", "begun or done."),
                _count("files", "Its files.", required=False),
                _count("bytes", "Their size.", required=False),
                _digest("sha256", "Digest of its manifest.", required=False),
            ),
            since=2,
        ),
        Action.RESTORED: Entry(
            "A deployment was put back from a backup; recorded before it serves.",
            (
                _id("backup", "The backup's id."),
                _moment("made", "When the backup was made."),
                _digest("sha256", "Digest of its manifest."),
            ),
            since=2,
        ),
        Action.EGRESS_BLOCKED: Entry(
            "A connection out of the allowed networks was refused. An alarm.",
            (
                _count("attempts", "Attempts since the record before."),
                _count("hosts", "To how many different hosts."),
                _ids("addresses", "Those of the first 20 that are addresses."),
            ),
            ("hosts",),
        ),
        Action.AUDIT_READ: Entry(
            "A reviewer read the log, or was denied it; recorded before.",
            (
                _code("asked", "What for: events, who_saw, about_subject, under_glass."),
                Detail("by", Kind.CODE, "The conditions that narrowed it.", many=True),
                _count("rows", "How many rows were found."),
                _id("passage", "The passage it was about.", required=False),
                _id("subject", "Keyed reference of whom it was about.", required=False),
                _id("person", "Whose broken glasses it was about.", required=False),
            ),
        ),
        Action.EXPORTED: Entry(
            "Records leave as a file, or that was denied; once before, and once when all are out.",
            (
                _code("format", "The format, or package."),
                _code("stage", "begun or done."),
                _moment("since", "From when on.", required=False),
                _moment("until", "Until when."),
                _id("from_origin", "Of one log alone.", required=False),
                _id("request", "Of one request alone.", required=False),
                Detail("actions", Kind.CODE, "Of these actions alone.", required=False, many=True),
                _count("records", "How many.", required=False),
                _digest("sha256", "Digest of what left.", required=False),
            ),
            since=2,
        ),
        Action.ARCHIVED: Entry(
            "A segment of a log is moved elsewhere; recorded before it goes.",
            (
                _id("origin", "The log."),
                _count("first", "Index of the segment's first record."),
                _count("count", "How many records."),
                _digest("sha256", "Digest of the segment."),
                _id("to", "Name of the folder it goes to."),
            ),
            since=2,
        ),
        Action.UNSEALED: Entry(
            "The sealed parts of a record were opened; recorded before.",
            (
                _id("origin", "The log of the record that was opened."),
                _count("index", "Its index."),
            ),
            ("reason",),
        ),
        Action.KEY_MADE: Entry(
            "A key-encryption key of the vault was made.", (_id("key", "Its file."),)
        ),
        Action.KEYS_ROTATED: Entry(
            "The vault's keys are wrapped under the newest key; recorded before.",
            (_counts("subjects", "Subjects' keys until now, by the key they were under."),),
        ),
        Action.RELATIONS_CHANGED: Entry(
            "Who is related to whom is changed; recorded before it holds.",
            (
                _code("act", "added, replaced or removed."),
                _id("feed", "Where the relations come from.", required=False),
                _count("relations", "How many.", required=False),
                _digest("sha256", "Digest of all of them, in any order.", required=False),
                _parts(
                    "named",
                    "Each one; none of a whole feed. Long lists take several records.",
                    _id("principal", "The person who reads."),
                    _digest("subject", "Whom they are related to."),
                ),
            ),
        ),
        Action.CONSENT_CHANGED: Entry(
            "What a subject says of a purpose is changed; recorded before it holds.",
            (
                _code("for", "The purpose."),
                _code("consent", "refused, silent or given."),
                _moment("starts", "From when on."),
                _moment("ends", "Until when.", required=False),
            ),
        ),
        Action.CONSENT_READ: Entry(
            "Somebody read what a subject has said.",
            (_count("entries", "How many entries."),),
            since=2,
        ),
        Action.FEEDS_READ: Entry(
            "Somebody read where relations come from.",
            (_count("feeds", "How many feeds."),),
            since=2,
        ),
        Action.FEED_DARK: Entry(
            "An access feed is too old to be believed. An alarm.",
            (_SCOPE, _id("feed", "The feed.")),
        ),
        Action.BROKE_GLASS: Entry(
            "Somebody opened a subject's records in an emergency; recorded before.",
            (_OPENING, _moment("ends", "When it ends by itself.")),
            ("reason",),
        ),
        Action.GLASS_ENDED: Entry(
            "An opening was ended before its time, by who opened it or by a reviewer.",
            (
                _id("opening", "The opening; absent where there was none.", required=False),
                _id("of", "Who opened it.", required=False),
                _code("reason", "Why it was denied.", required=False),
            ),
        ),
        Action.QUEUE_READ: Entry(
            "A reviewer read the openings by broken glass.", (_count("openings", "How many."),)
        ),
        Action.REVIEWED: Entry(
            "A reviewer gave a verdict on an opening, or was denied it.",
            (
                _id("opening", "The opening; absent where there was none.", required=False),
                _code("verdict", "The verdict.", required=False),
                _code("reason", "Why it was denied.", required=False),
            ),
            ("note",),
        ),
        Action.REVEALED: Entry(
            "One value was shown in clear for minutes, or that was denied; recorded before.",
            (
                _SCOPE,
                *_STANDING,
                _id("chunk", "The passage it stands in.", required=False),
                _id("document", "The document.", required=False),
                _code("entity", "The type of the value.", required=False),
                _ids("policies", "The `@id` of the policies that decided.", required=False),
                _moment("ends", "Until when it is shown.", required=False),
            ),
            ("reason",),
        ),
        Action.EXPLAINED: Entry(
            "Somebody asked why a document may or may not be read.",
            (
                _id(
                    "document",
                    "The document, where it looks like an id.",
                    required=False,
                ),
                _id("reader", "Whose access it was about."),
                _POLICIES,
            ),
        ),
        Action.FEEDBACK_GIVEN: Entry(
            "Somebody rated an answer to a question of theirs, or one that was not theirs.",
            (
                _id("about", "The rated request, where it looks like an id.", required=False),
                _code("rating", "helpful or unhelpful.", required=False),
                Detail("reasons", Kind.CODE, "Why.", required=False, many=True),
                _counts("replaced", "Values masked in the comment, by type.", required=False),
                _count("part", "Which record of one act, from 2: more subjects.", required=False),
                _code("code", "The error that it failed with.", required=False),
            ),
            ("comment",),
            since=2,
        ),
        Action.API_KEY_MADE: Entry(
            "An API key was made.",
            (
                _id("principal", "For whom."),
                _id("acts_for", "The registered client whose key it is.", required=False),
            ),
        ),
        Action.API_KEY_ROTATED: Entry(
            "A principal got its next API key.",
            (
                _id("principal", "Who."),
                _count("overlap_hours", "How long the one before still works."),
            ),
        ),
        Action.API_KEY_REVOKED: Entry(
            "All keys of a principal were taken away.", (_id("principal", "Who."),)
        ),
        Action.USER_LISTED: Entry(
            "A person was listed for whom a registered client may ask.",
            (_id("principal", "Who."), _id("client", "The client.")),
        ),
        Action.WITNESS_LAGGING: Entry(
            "A witness has not taken a log's newest state for too long. An alarm.",
            _WITNESS,
            since=2,
        ),
        Action.WITNESS_CAUGHT_UP: Entry(
            "A witness that lagged has taken a log's newest state.", _WITNESS, since=2
        ),
        Action.WITNESS_CONFLICT: Entry(
            "A witness holds a state that the log has not grown from. An alarm.",
            _WITNESS,
            since=2,
        ),
    }
)
