"""How what a source says of a document becomes its labels: rules, access lists, sidecars.

Fails closed: what cannot be mapped whole is put aside, never taken with looser labels.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from ingest.sources.labels import GivenLabels, apply
from ingest.sources.options import Options
from ingest.sources.port import Found
from ragplatform.errors import ConfigurationError, InvalidRequestError, QuarantinedError
from ragplatform.model import Labels, Sensitivity
from ragplatform.policy.classes import validate_labels

LABEL_KEYS: Final = frozenset(
    "sensitivity department restrictions subjects retain_until claims id_systems".split()
)
_RULE_KEYS: Final = LABEL_KEYS | {"match", "pattern", "where"}
# {name}, {stem}, {folder[1]}, {fact[group]}, {a group of the rule's pattern}
_FIELD: Final = re.compile(r"\{(\w+)(?:\[([^\[\]{}]+)\])?\}")
_BRACE: Final = re.compile(r"[{}]")


class Unmapped(StrEnum):
    """What becomes of a document whose access list is not mapped whole."""

    QUARANTINE = "quarantine"
    RESTRICT = "restrict"


@dataclass(frozen=True, slots=True)
class Rule:
    """Labels for the names and facts that it fits. ``where`` are pairs of a fact and a glob."""

    match: str
    pattern: re.Pattern[str] | None
    where: tuple[tuple[str, str], ...]
    changes: Mapping[str, object]

    def fitted(self, found: Found) -> Mapping[str, str] | None:
        """Return the groups of its pattern in the name if it fits, else None."""
        if not fnmatch.fnmatchcase(found.name, self.match):
            return None
        for key, glob in self.where:
            if not any(k == key and fnmatch.fnmatchcase(v, glob) for k, v in found.facts):
                return None
        if self.pattern is None:
            return {}
        groups = self.pattern.search(found.name)
        return None if groups is None else {k: v or "" for k, v in groups.groupdict().items()}


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """All that decides on the labels of one source's documents.

    ``acl`` names the facts that are access lists: each has to be there, and each of its values has
    to be spoken of by a rule that fits.
    """

    default: GivenLabels
    rules: tuple[Rule, ...]
    acl: tuple[str, ...]
    unmapped: Unmapped

    def labels(self, found: Found) -> GivenLabels:
        """Return the labels that rules and access lists give.

        Raises ``QuarantinedError`` with ``acl_unmapped``, ``labels_unmapped``, ``labels_conflict``
        or ``labels_invalid``.
        """
        if found.unread:
            raise QuarantinedError("acl_unreadable", found.unread)
        fitting = [(rule, g) for rule in self.rules if (g := rule.fitted(found)) is not None]
        labels = self.default
        for rule, groups in fitting:
            if not self._is_about_access(rule):
                labels = _applied(labels, rule, found, groups)
        # Last: what a name says opens nothing that an access list closes.
        opened = labels
        for rule, groups in fitting:
            if self._is_about_access(rule):
                labels = closed_by(labels, _applied(opened, rule, found, groups), opened)
        if not self._is_mapped(found, [rule for rule, _ in fitting]):
            if self.unmapped is Unmapped.QUARANTINE:
                raise QuarantinedError("acl_unmapped", "no rule speaks of its whole access list")
            labels = replace(labels, sensitivity=Sensitivity.RESTRICTED)
        require_valid(labels)
        return labels

    def _is_about_access(self, rule: Rule) -> bool:
        return any(key in self.acl for key, _ in rule.where)

    def _is_mapped(self, found: Found, fitting: list[Rule]) -> bool:
        for key in self.acl:
            values = [value for k, value in found.facts if k == key]
            globs = [glob for rule in fitting for k, glob in rule.where if k == key]
            if not values or not all(
                any(fnmatch.fnmatchcase(value, glob) for glob in globs) for value in values
            ):
                return False
        return True


def closed_by(labels: GivenLabels, more: GivenLabels, start: GivenLabels) -> GivenLabels:
    """Return the labels closed further by what ``more`` says beyond ``start``; nothing opens.

    Raises ``QuarantinedError`` ``labels_conflict`` when both name another department.
    """
    department = labels.department
    if more.department != start.department:
        if department not in {"", start.department, more.department}:
            raise QuarantinedError("labels_conflict", "two of its labels name departments")
        department = more.department
    return replace(
        labels,
        sensitivity=max(labels.sensitivity, more.sensitivity),
        department=department,
        restrictions=labels.restrictions | more.restrictions,
        # Documents about several people are open to nobody for being related to one.
        subjects=labels.subjects | more.subjects,
        retain_until=max(labels.retain_until, more.retain_until),
        claims=labels.claims and more.claims,
    )


def require_valid(labels: GivenLabels) -> None:
    """Raise ``QuarantinedError`` ``labels_invalid`` for labels that cannot be stored."""
    whole = Labels(
        tenant="t",
        collection="c",
        sensitivity=labels.sensitivity,
        department=labels.department,
        restrictions=labels.restrictions,
        retain_until=labels.retain_until,
    )
    try:
        validate_labels(whole)
    except InvalidRequestError as error:
        raise QuarantinedError("labels_invalid", "a label that was mapped is no name") from error


def read_mapping(options: Options) -> LabelMapping:
    """Return the mapping that a table of ``sources.toml`` gives. Raises ``ConfigurationError``."""
    given = Options(f"{options.where}: labels", options.table("labels"))
    given.require_known(LABEL_KEYS)
    default = apply(GivenLabels(), given.where, options.table("labels"))
    try:
        require_valid(default)
    except QuarantinedError as error:
        raise ConfigurationError(f"{given.where}: a label is no name: {error.__cause__}") from error
    return LabelMapping(
        default=default,
        rules=tuple(_read_rule(one) for one in options.tables("rule")),
        acl=options.texts("acl"),
        unmapped=Unmapped(options.choice("unmapped", "quarantine", tuple(Unmapped))),
    )


def _read_rule(options: Options) -> Rule:
    options.require_known(_RULE_KEYS)
    pattern = options.text("pattern", "")
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise ConfigurationError(f"{options.where}: pattern: {error}") from error
    where = options.table("where")
    if not all(isinstance(glob, str) for glob in where.values()):
        raise ConfigurationError(f"{options.where}: where is a table of a fact and a glob each")
    changes = {key: value for key, value in options.items() if key in LABEL_KEYS}
    groups = frozenset(compiled.groupindex) if compiled else frozenset()
    for text in _texts(changes):
        _require_template(options.where, text, groups)
    # A value of the wrong kind is found here and not at the first document.
    plain = {key: value for key, value in changes.items() if not any(map(_is_template, _in(value)))}
    apply(GivenLabels(), options.where, plain)
    return Rule(
        match=options.text("match", "*"),
        pattern=compiled,
        where=tuple(sorted((key, str(glob)) for key, glob in where.items())),
        changes=changes,
    )


def _texts(changes: Mapping[str, object]) -> Iterator[str]:
    for value in changes.values():
        yield from _in(value)


def _in(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield one


def _is_template(text: str) -> bool:
    return _BRACE.search(text) is not None


def _require_template(where: str, text: str, groups: frozenset[str]) -> None:
    """Raise ``ConfigurationError`` for a field that no document could ever fill."""
    for field, inner in _FIELD.findall(text):
        if field == "folder" and inner.isdecimal() and int(inner) >= 1:
            continue
        if (field == "fact" and inner) or (not inner and field in {"name", "stem"} | groups):
            continue
        raise ConfigurationError(
            f"{where}: {{{field}}} is none of name, stem, folder[1] and so on, fact[KEY], or a "
            "named group of the rule's pattern"
        )
    if _BRACE.search(_FIELD.sub("", text)):
        raise ConfigurationError(f"{where}: a brace stands alone")


def _applied(
    labels: GivenLabels, rule: Rule, found: Found, groups: Mapping[str, str]
) -> GivenLabels:
    """Return the labels with the rule's in their place, its templates filled in."""
    changes: dict[str, object] = {}
    for key, value in rule.changes.items():
        if isinstance(value, list):
            changes[key] = [one for text in value for one in _filled(text, found, groups)]
        elif isinstance(value, str):
            texts = set(_filled(value, found, groups))
            if len(texts) != 1:
                raise QuarantinedError("labels_conflict", f"several values for {key}")
            changes[key] = texts.pop()
        else:
            changes[key] = value
    try:
        return apply(labels, "a rule", changes)
    except ConfigurationError as error:
        raise QuarantinedError("labels_invalid", "a rule gives a value that is none") from error


def _filled(text: str, found: Found, groups: Mapping[str, str]) -> list[str]:
    """Return the text with its fields filled in: once for each value of a fact in it."""
    filled, end = [""], 0
    for field in _FIELD.finditer(text):
        # What is put in is never looked at again: it may hold braces of its own.
        plain, end = text[end : field.start()], field.end()
        values = _values(field[1], field[2] or "", found, groups)
        filled = [f"{one}{plain}{value}" for one in filled for value in values]
    return [one + text[end:] for one in filled]


def _values(field: str, inner: str, found: Found, groups: Mapping[str, str]) -> list[str]:
    """Return what a field stands for. One that stands for nothing puts the document aside."""
    path = PurePosixPath(found.name)
    if field == "folder":
        folders = path.parts[:-1]
        values = [folders[int(inner) - 1]] if int(inner) <= len(folders) else []
    elif field == "fact":
        values = [value for key, value in found.facts if key == inner]
    else:
        values = [groups[field] if field in groups else getattr(path, field)]
    if not values or not all(values):
        raise QuarantinedError("labels_unmapped", "a rule names a part that it does not have")
    return values
