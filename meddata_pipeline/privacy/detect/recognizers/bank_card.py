"""Bank cards: 13 to 19 digits that pass Luhn's check, or any account number behind a label."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded, digits_of
from meddata_pipeline.privacy.detect.types import Hit

_CARD = compiled(r"[2-6](?<![0-9].)(?:[ \-]?[0-9]){12,18}(?![0-9])")
#: JCB's older cards: fifteen digits that begin with 1800 or 2131.
_JCB = compiled(r"(?:1800|2131)(?<![0-9].{4})(?:[ \-]?[0-9]){11}(?![0-9])")
_LABEL = compiled(
    r"(?:银行卡号?|银行账号|银行帐号|信用卡号?|借记卡号?|储蓄卡号?|账号|帐号|账户|帐户|card number|card no\.?|card|Card"
    r"|card #|account number|Account number|Account Number"
    r"|account no\.?|account|Account)"
    r"(?:为|是|is|was|ending|[:# ])*([0-9](?:[ \-]?[0-9]){11,22})(?![0-9])"
)


def luhn(digits: str) -> bool:
    """Luhn's check.

    Source:
        ISO/IEC 7812-1, Annex B.
    """
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + i % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


class BankCardRule(Rule):
    """Bank and credit cards."""

    name = "bank-card"
    entities = ("CREDIT_CARD",)
    needs = "digits"

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 with a right check digit, 0.85 by label."""
        for match in (*_CARD.finditer(text), *_JCB.finditer(text)):
            if luhn(digits_of(match.group())) and digit_bounded(text, match.start(), match.end()):
                yield Hit(match.start(), match.end(), "CREDIT_CARD", 0.95)
        for match in _LABEL.finditer(text):
            yield Hit(match.start(1), match.end(1), "CREDIT_CARD", 0.85)
