"""Licence plates, those of new-energy cars too."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_PLATE = compiled(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领WJ军空海北沈兰济南广成]"
    r"[A-Za-z](?![A-Za-z]{5})[\u00b7. \-]?[A-HJ-NP-Za-hj-np-z0-9]{4}"
    r"(?:[A-HJ-NP-Za-hj-np-z0-9]{1,2}|[挂学警港澳使领临])(?![A-Za-z0-9])"
)


class PlateRule(Rule):
    """Licence plates."""

    name = "plate"
    entities = ("CN_PLATE",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9; a plate has at least two digits."""
        for match in _PLATE.finditer(text):
            if sum(c.isdigit() for c in match.group()) >= 2:
                yield Hit(match.start(), match.end(), "CN_PLATE", 0.9)
