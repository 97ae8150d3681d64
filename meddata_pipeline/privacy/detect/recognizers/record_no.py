"""Numbers that a hospital gives: by their label, and by the hospital's own pattern from its profile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled, spellings
from meddata_pipeline.privacy.detect.sweep import parts
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, words

_VALUE = r"([A-Za-z0-9](?:[A-Za-z0-9]|[\-_/.](?=[A-Za-z0-9])){2,39})"
_BY_LABEL = compiled(alternation(words("record_labels")) + r'(?:为|是|码|[:#()\[\]" \n\t|]|No\.?|NO\.?){0,4}' + _VALUE)
_BY_SHORT = compiled(
    r"(?:(?:ID|Id|No|NO|HN)(?<![A-Za-z]..)|(?:MRN|PID|UID)(?<![A-Za-z]...))(?:号码?|[.:#| ]){1,3}" + _VALUE
)
_BY_ENGLISH = compiled(alternation(spellings(words("record_labels_english"))) + r"(?:[.:# ]|is|\()*" + _VALUE)
_QUALIFIED = re.compile("[a-z] (?:ID|Id|No|NO)")
#: Words that announce a number without saying so: 送病理B21-6830, 片CT123456.
_BY_WORD = compiled(
    r"(?:病理|标本|住院|门诊|检查|影像|条码|切片|蜡块|片)[: #]{0,2}"
    r"((?:[A-Za-z]{1,4}[0-9]{2,4}-[0-9]{3,8}|20[0-9]{2}-[0-9]{4,8}|[A-Za-z]{1,4}-?[0-9]{5,14}))(?![A-Za-z0-9])"
)
#: Labels of others: a bank's card, a device.
_NOT_OURS = compiled(
    r"(?:银行|信用|借记|储蓄|工资|退款|收款|付款|打款|汇款|转账|缴费|还款|理赔|报销|补助|救助|账户|开户|电话|手机|流量|购物|设备|仪器|机器|器械|产品|起搏器|植入物|种植体|支架|假体|导管|机身|银行卡[,:]?)$"
)
_DATE = re.compile(r"(?:19|20)[0-9]{2}[\-/.](?:0?[1-9]|1[0-2])(?:[\-/.][0-3]?[0-9])?$")


class RecordNumberRule(Rule):
    """Record, visit, examination, pathology and specimen numbers.

    Args:
        patterns: the hospital's own number shapes by field (profile key ``id_patterns``).

    Raises:
        ConfigError: a pattern is no regular expression.
    """

    name = "record-number"
    entities = ("MEDICAL_ID",)
    across = True

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._own: list[re.Pattern[str]] = []
        for field, pattern in sorted(patterns.items()):
            try:
                self._own.append(re.compile(pattern))
            except re.error:
                raise ConfigError(
                    "An id pattern is not a regular expression",
                    where=f"id_patterns.{field}",
                    next_step="Correct it in the hospital's profile",
                ) from None

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.9 by label, 0.85 by the hospital's own pattern."""
        for pattern in (_BY_LABEL, _BY_SHORT, _BY_ENGLISH):
            for match in pattern.finditer(text):
                value = match.group(1)
                if _NOT_OURS.search(text, max(0, match.start() - 4), match.start()):
                    continue
                # Fingerprint ID, Device No: an English word before a short label says that it is another number.
                if pattern is _BY_SHORT and _QUALIFIED.match(text, max(0, match.start() - 2)):
                    continue
                # A label in a heading (病理编号 HE 染色) must not take a word for a number.
                if sum(c.isdigit() for c in value) >= 3 and not _DATE.match(value):
                    yield Hit(match.start(1), match.end(1), "MEDICAL_ID", 0.9)
        for match in _BY_WORD.finditer(text):
            if not _DATE.match(match.group(1)):
                yield Hit(match.start(1), match.end(1), "MEDICAL_ID", 0.75)
        for own in self._own:
            for first, last in parts(text):
                for match in own.finditer(text[first:last]):
                    start, end = first + match.start(), first + match.end()
                    if end > start and bounded(text, start, end):
                        yield Hit(start, end, "MEDICAL_ID", 0.85)
