"""Where documents come from: paths given by hand, and configured sources behind one port.

What the rest of ingest speaks of is named here; the kinds of sources are picked in ``kinds``.
"""

from ingest.sources.files import Later, SourceFile, find
from ingest.sources.labels import GivenLabels, parse_labels

__all__ = ["GivenLabels", "Later", "SourceFile", "find", "parse_labels"]
