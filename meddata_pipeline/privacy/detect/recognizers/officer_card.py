"""Cards of officers and soldiers."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_SHAPE = compiled(
    r"[军兵士文职武警学政后联参空海南北沈兰成济广京东西中火战边森消](?:[职警队部])?字? ?第 ?(?:[0-9]{5,10}) ?号?"
)
_SHORT = compiled(r"[军兵士武政后空海文南北](?:警|官)?字[0-9]{5,10}号?")
_LABEL = compiled(
    r"(?:军官证|士兵证|军人证|警官证|文职干部证|士官证|军人保障卡|退役军人证|军人残疾证)"
    r"(?:号码?|编号|证号|为|是|[:#() \n])*((?:[^\s,。;:、()]{1,4}字? ?第 ?)?[A-Za-z0-9]{5,18} ?号?)"
)


class OfficerCardRule(Rule):
    """Cards of officers and soldiers, by shape and by label."""

    name = "officer-card"
    entities = ("CN_OFFICER_CARD",)
    needs = "digits"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9 and 0.95."""
        if "字" in text or "第" in text:
            for pattern in (_SHAPE, _SHORT):
                for match in pattern.finditer(text):
                    if "字" in match.group():
                        yield Hit(match.start(), match.end(), "CN_OFFICER_CARD", 0.9)
        if "证" in text or "卡" in text:
            for match in _LABEL.finditer(text):
                if sum(c.isdigit() for c in match.group(1)) >= 5:
                    yield Hit(match.start(1), match.end(1), "CN_OFFICER_CARD", 0.95)
