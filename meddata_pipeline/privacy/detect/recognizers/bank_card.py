"""Bank cards: digits that pass Luhn's check, or any account number behind a label."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, digit_bounded, digits_of
from meddata_pipeline.privacy.detect.types import Hit

#: In fours, in six and the rest, or as American Express prints them. What stands behind may be a date: no other groups.
_GROUPED = (
    r"[0-9]{4}(?P<gap>[ \-])[0-9]{4}(?:(?P=gap)[0-9]{4}){1,2}(?:(?P=gap)[0-9]{1,4})?"
    r"|[0-9]{6}[ \-][0-9]{9,13}|[0-9]{4}[ \-][0-9]{6}[ \-][0-9]{5}"
)
_LONG = compiled(r"[2-6](?<![0-9].)(?:[ \-]?[0-9]){12}")
_CARD = compiled(rf"(?:[0-9]{{13,19}}|{_GROUPED})(?![0-9])")
#: JCB's older cards: fifteen digits that begin with 1800 or 2131.
_JCB = compiled(r"(?:1800|2131)(?<![0-9].{4})(?:[ \-]?[0-9]){11}(?![0-9])")
_LABEL = compiled(
    r"(?:(?:银行|信用|借记|储蓄|工资|退款|收款|付款|打款|汇款|转账|缴费|还款|理赔|报销|补助|救助)(?:卡号?|账号|帐号|账户|帐户)|开户账号|账号|帐号|账户|帐户"
    r"|card number|card no\.?|card|Card|[Aa]ccount number|Account Number|account no\.?|account|Account)"
    rf"(?:号码?|卡号|账号|尾号|为|是|is|was|ending|[:,# ])*(?P<value>{_GROUPED}|[0-9]{{11,23}})(?![0-9])"
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
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95 with a right check digit, 0.85 by label."""
        places = [_CARD.match(text, begin.start()) for begin in _LONG.finditer(text)]
        for match in (*places, *_JCB.finditer(text)):
            if match is None or not digit_bounded(text, match.start(), match.end()):
                continue
            digits = digits_of(match.group())
            if 12 < len(digits) < 20 and luhn(digits):
                yield Hit(match.start(), match.end(), "CREDIT_CARD", 0.95)
        for match in _LABEL.finditer(text):
            yield Hit(*match.span("value"), "CREDIT_CARD", 0.85)
