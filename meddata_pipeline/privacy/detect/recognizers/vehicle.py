"""Vehicles: identification numbers (VIN) and licence plates outside China."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, labelled, opens
from meddata_pipeline.privacy.detect.types import Hit

_VIN = compiled(r"[A-HJ-NPR-Z0-9](?<![A-Za-z0-9].)[A-HJ-NPR-Z0-9]{16}(?![A-Za-z0-9])")
_LABEL = labelled(
    r"VIN|[Vv]ehicle(?: [Ii]dentification| [Ii][Dd])?|[Ll]icen[cs]e [Pp]lates?|[Nn]umber [Pp]late|[Pp]lates?|[Tt]ag",
    r"[A-Z0-9](?:[ \-]?[A-Z0-9]){3,16}",
)
_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9], strict=True)
)
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin_valid(vin: str) -> bool:
    """The check digit of a vehicle identification number, the ninth character.

    Source:
        49 CFR 565.15(c).
    """
    total = sum(w * (int(c) if c.isdigit() else _VALUES[c]) for c, w in zip(vin, _WEIGHTS, strict=True))
    return "0123456789X"[total % 11] == vin[8]


class VehicleRule(Rule):
    """Vehicle identifiers."""

    name = "vehicle"
    entities = ("OTHER_ID",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 with a right check digit, 0.85 by label."""
        for match in _VIN.finditer(text):
            if any(c.isalpha() for c in match.group()) and vin_valid(match.group()):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.95)
        for match in _LABEL.finditer(text):
            value = match.group(1)
            if sum(c.isdigit() for c in value) >= 2 and opens(text, match.start()) and len(value) >= 5:
                yield Hit(match.start(1), match.end(1), "OTHER_ID", 0.85)
