"""Readers, one file per format, behind one protocol: a file is parts, a part is a header and batches of text columns.

What belongs here: turning bytes into columns of text with a place for every record, and rejecting records that are
damaged as records. What does not: what a value means (mapping, normalise). Every value is text here: an identity
number of 18 digits must never become a float.
"""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.ingest.landing import LandingFile
from meddata_pipeline.ingest.readers.base import Batch, Part, Reject
from meddata_pipeline.ingest.sniff import sniff

__all__ = ["Batch", "Part", "Reject", "read"]


def read(file: LandingFile, *, encoding: str = "auto", delimiter: str | None = None) -> Iterator[Part]:
    """Read a file of any format that is supported, chosen by its content.

    Args:
        file: the file.
        encoding: the profile's encoding of text files or ``auto``.
        delimiter: the profile's delimiter, None to sniff it.

    Yields:
        Parts: one for a text file, one per sheet that is not empty for a workbook. Read a part's batches before
        asking for the next part.

    Raises:
        UnreadableFile: the file is not a readable table; no value is in the message.
    """
    found = sniff(file.path, encoding)
    if found.format == "xlsx":
        from meddata_pipeline.ingest.readers import xlsx

        yield from xlsx.parts(file.path)
    else:
        from meddata_pipeline.ingest.readers import delimited

        yield from delimited.parts(file.path, found.encoding, delimiter)
