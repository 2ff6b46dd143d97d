"""What is wrong with a request that is not of the right form, without what it held."""

from collections.abc import Mapping
from typing import Any, Final

# What pydantic says of these is made of the interface's description alone. Of others, as of what a
# JSON parser stumbled over, it may repeat a part of what was sent, which may be a patient's name.
_SAID: Final = frozenset(
    "missing extra_forbidden enum literal_error union_tag_not_found multiple_of finite_number "
    "string_too_long string_too_short string_pattern_mismatch too_long too_short "
    "greater_than greater_than_equal less_than less_than_equal "
    "string_type int_type int_parsing int_from_float float_type float_parsing bool_type "
    "bool_parsing list_type dict_type model_attributes_type date_type datetime_type "
    "uuid_type".split()
)


def place_of(error: Mapping[str, Any]) -> str:
    """Return the name of the field that pydantic's error is about."""
    return ".".join(map(str, error["loc"]))


def message_of(error: Mapping[str, Any]) -> str:
    """Return what is to be put right about it, for people; else the kind of pydantic's error."""
    kind = str(error["type"])
    return str(error["msg"]) if kind in _SAID else kind
