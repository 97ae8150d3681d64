"""Names of photographs, scans and recordings: a file's name often holds the patient's, and the file shows the face."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_KIND = (
    r"\.(?:jpe?g|JPE?G|png|PNG|gif|bmp|tiff?|TIFF?|heic|HEIC|dcm|DCM|mp4|MP4|mov|MOV|avi|wav|WAV|mp3|m4a|pdf|PDF)"
    r"(?![A-Za-z0-9])"
)
_FILE = compiled(
    r"[A-Za-z0-9_](?<![A-Za-z0-9_.\-/\\].)[A-Za-z0-9_\-./\\]{0,120}" + _KIND,
    holds=_KIND,
)


class MediaFileRule(Rule):
    """Names of files with pictures or voices."""

    name = "media-file"
    entities = ("OTHER_ID",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.8."""
        if "." in text:
            for match in _FILE.finditer(text):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.8)
