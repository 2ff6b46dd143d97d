"""The labels that people give: how they are written, and how one table goes over another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ragplatform.errors import ConfigurationError
from ragplatform.model import Sensitivity


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Labels as people give them. ``subjects`` are raw identifiers; only keyed forms are stored.

    ``claims`` says whether a document's own fields may add what is not given here, ``id_systems``
    which of its identifiers count: pairs of a system or kind and the prefix of its subjects' ids.
    Without pairs every system counts, under its kind.
    """

    sensitivity: Sensitivity = Sensitivity.CONFIDENTIAL
    department: str = ""
    restrictions: frozenset[str] = frozenset()
    subjects: frozenset[str] = field(default=frozenset(), repr=False)
    retain_until: str = ""
    claims: bool = True
    id_systems: tuple[tuple[str, str], ...] = ()


def parse_labels(pairs: Iterable[str]) -> GivenLabels:
    """Return the labels that ``key=value`` pairs from a command line give.

    Raises ``ConfigurationError`` for an unknown key or a value outside its list.
    """
    table: dict[str, object] = {}
    lists: dict[str, list[str]] = {"restriction": [], "subject": []}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value:
            raise ConfigurationError(f"label {key!r}: wanted key=value")
        if key in lists:
            lists[key].append(value)
        elif key in {"sensitivity", "department", "retain_until"}:
            table[key] = value
        else:
            raise ConfigurationError(
                f"label {key!r}: known are sensitivity, department, restriction, subject, "
                "retain_until"
            )
    if lists["restriction"]:
        table["restrictions"] = lists["restriction"]
    if lists["subject"]:
        table["subjects"] = lists["subject"]
    return apply(GivenLabels(), "--label", table)


def apply(labels: GivenLabels, where: str, changes: Mapping[str, object]) -> GivenLabels:
    """Return the labels with each of the changes in the place of what was there.

    ``where`` says in messages whence they come. Raises ``ConfigurationError`` for a value of the
    wrong kind.
    """
    for key, value in changes.items():
        if key == "sensitivity":
            try:
                labels = replace(labels, sensitivity=Sensitivity[str(value).upper()])
            except KeyError as error:
                known = ", ".join(level.name.lower() for level in Sensitivity)
                raise ConfigurationError(f"{where}: sensitivity is one of {known}") from error
        elif key == "department":
            labels = replace(labels, department=str(value))
        elif key == "retain_until":
            # TOML has dates of its own, whose text is the same.
            labels = replace(labels, retain_until=str(value))
        elif key == "claims":
            if not isinstance(value, bool):
                raise ConfigurationError(f"{where}: claims is true or false")
            labels = replace(labels, claims=value)
        elif key == "id_systems":
            labels = replace(labels, id_systems=_id_systems(where, value))
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigurationError(f"{where}: {key} is not a list of strings")
        elif key == "restrictions":
            labels = replace(labels, restrictions=frozenset(value))
        else:
            labels = replace(labels, subjects=frozenset(value))
    return labels


def _id_systems(where: str, value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ConfigurationError(f"{where}: id_systems is a table of a system and its prefix each")
    return tuple(sorted(value.items()))
