"""Numbers of devices: serial, lot and model numbers of implants, unique device identifiers."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, coded, compiled, labelled, opens
from meddata_pipeline.privacy.detect.types import Hit

_LABEL = labelled(
    r"[Ss]erial|[Ss]/[Nn]|SN|[Dd]evice(?: [Ss]erial| [Ii]dentifier)?|[Ii]mplant(?: [Ss]erial)?|[Ll]ot|UDI|IMEI|"
    r"[Pp]acemaker|[Pp]ump|[Aa]sset",
    r"[A-Za-z0-9](?:[\-/.]?[A-Za-z0-9]){3,30}",
)
#: A unique device identifier as a bar code's text: (01)… (17)… (21)….
_UDI = compiled(r"\(01\)[0-9]{14}(?:\((?:10|11|17|21|240)\)[A-Za-z0-9\-]{1,20})*")


class DeviceRule(Rule):
    """Device identifiers and serial numbers."""

    name = "device"
    entities = ("OTHER_ID",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9 for a whole identifier, 0.8 by label."""
        for match in _LABEL.finditer(text):
            value = match.group(1)
            # A rate or a dose behind "pump" has a unit and few digits.
            if coded(value) and opens(text, match.start()):
                yield Hit(match.start(1), match.end(1), "OTHER_ID", 0.8)
        if "(01)" in text:
            for match in _UDI.finditer(text):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.9)
