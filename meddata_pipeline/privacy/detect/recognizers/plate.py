"""Licence plates, those of new-energy cars, the armed police and the forces too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_PROVINCE = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_GAP = r"[\u00b7. \-]?"
_PLATE = compiled(
    rf"[{_PROVINCE}使领] ?[A-Za-z](?![A-Za-z]{{5}}){_GAP}[A-HJ-NP-Za-hj-np-z0-9]{{4}}"
    r"(?:[A-HJ-NP-Za-hj-np-z0-9]{1,2}|[挂学警港澳使领临试])(?![A-Za-z0-9])"
)
_SPECIAL = compiled(
    rf"[{_PROVINCE}][A-Z]{_GAP}[A-HJ-NP-Z0-9]{{3,4}}(?:应急|[挂学警港澳使领])"
    # Armed police with or without its province, the forces.
    rf"|WJ{_GAP}[{_PROVINCE}]?{_GAP}(?:[0-9]{{2}}{_GAP})?[0-9]{{4}}[0-9A-Z](?![A-Za-z0-9])"
    rf"|[军空海北沈兰济南广成甲乙][A-Z]{{1,2}}{_GAP}[0-9]{{5}}(?![A-Za-z0-9])"
)
_EMBASSY = compiled(rf"[使领](?<![大出行促假致]使)(?<![带率认]领){_GAP}[0-9]{{3}}{_GAP}[0-9]{{3}}(?![0-9])")
_LATIN = re.compile("[A-Za-z]")


class PlateRule(Rule):
    """Licence plates."""

    name = "plate"
    entities = ("CN_PLATE",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9; a plate has at least two digits."""
        if "使" in text or "领" in text:
            for match in _EMBASSY.finditer(text):
                yield Hit(match.start(), match.end(), "CN_PLATE", 0.7)
        if not _LATIN.search(text):
            return
        for pattern in (_PLATE, _SPECIAL):
            for match in pattern.finditer(text):
                if sum(c.isdigit() for c in match.group()) >= 2:
                    yield Hit(match.start(), match.end(), "CN_PLATE", 0.9)
