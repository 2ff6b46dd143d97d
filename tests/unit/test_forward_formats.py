"""What is sent on to a collector can be in the formats that exports have."""

from pathlib import Path

import pytest

from ragplatform.forwarding import FORMATS
from tests.sample_records import HOSTILE, records


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_forwarded_record_is_one_line_without_its_end(tmp_path: Path, name: str) -> None:
    for record in records(tmp_path, actor=HOSTILE):
        line = FORMATS[name](record)

        assert "\n" not in line
        assert record.leaf.hex() in line


def test_all_formats_that_stream_can_be_forwarded() -> None:
    assert set(FORMATS) == {"json", "cef", "ecs", "fhir-r4", "fhir-r5", "ocsf"}
