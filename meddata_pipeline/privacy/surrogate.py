"""Surrogates: values of the same kind and shape that belong to nobody.

What belongs here: what is written in place of an identifier. What does not: dates (privacy/text.py shifts them), the
choice of keys.

Numbers are made invalid on purpose: a wrong check digit, a prefix that is not given out, a reserved domain.
"""

from __future__ import annotations

from meddata_pipeline.privacy.pseudonym import resident_id_check

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许吕"
_GIVEN = "安博晨帆涵嘉凯岚铭宁琪瑞舒桐雯熙妍逸悦哲"
_LATIN_FIRST = [
    "Alex",
    "Blake",
    "Casey",
    "Drew",
    "Elliot",
    "Finley",
    "Harper",
    "Jamie",
    "Kendall",
    "Logan",
    "Morgan",
    "Parker",
    "Quinn",
    "Reese",
    "Rowan",
    "Taylor",
]
_LATIN_LAST = [
    "Ashford",
    "Bellamy",
    "Carlisle",
    "Denholm",
    "Everly",
    "Fairbank",
    "Garland",
    "Holloway",
    "Ingram",
    "Kestrel",
    "Lockwood",
    "Marlow",
]
_SHORTEST_CARD = 13
_ROADS = ("甲", "乙", "丙", "丁", "戊", "己", "庚", "辛")


class _Draw:
    """Numbers drawn from a digest, in a fixed order."""

    def __init__(self, seed: bytes) -> None:
        self._value = int.from_bytes(seed, "big")

    def below(self, limit: int) -> int:
        self._value, drawn = divmod(self._value, limit)
        return drawn


def surrogate_for(seed: bytes, entity: str, shape: str) -> str:
    """A surrogate.

    Args:
        seed: 32 bytes that decide it; the same bytes give the same surrogate.
        entity: what is replaced.
        shape: as in the span table.

    Returns:
        A text of the same kind.
    """
    draw = _Draw(seed)
    if entity == "PERSON":
        return _person(draw, shape)
    if entity == "LOCATION":
        if shape == "latin":
            return f"{draw.below(900) + 100} Example Road"
        return f"某市{_ROADS[draw.below(len(_ROADS))]}路某号"
    if entity == "ORGANIZATION":
        return "Example Institution" if shape == "latin" else "某机构"
    if entity == "AGE":
        return "90岁以上" if shape == "han" else "90+"
    if entity == "EMAIL_ADDRESS":
        return f"user{draw.below(10**6):06d}@example.invalid"
    if entity == "URL":
        return "https://example.invalid/"
    if entity == "IP_ADDRESS":
        # RFC 5737 keeps this block for documentation.
        return f"192.0.2.{draw.below(254) + 1}"
    return _number(draw, entity, shape)


def _person(draw: _Draw, shape: str) -> str:
    if shape.startswith("latin"):
        first, last = _LATIN_FIRST[draw.below(len(_LATIN_FIRST))], _LATIN_LAST[draw.below(len(_LATIN_LAST))]
        return last if shape == "latin1" else f"{first} {last}"
    surname = _SURNAMES[draw.below(len(_SURNAMES))]
    given = "".join(_GIVEN[draw.below(len(_GIVEN))] for _ in range(2))
    if shape == "surname":
        return surname
    return surname + (given[:1] if shape == "han2" else given)


def _number(draw: _Draw, entity: str, shape: str) -> str:
    drawn: list[str] = []
    for mark in shape or "99999999":
        if mark == "9":
            drawn.append(str(draw.below(10)))
        elif mark in "Aa":
            letter = "ABCDEFGHJKLMNPQRSTUVWXYZ"[draw.below(24)]
            drawn.append(letter if mark == "A" else letter.lower())
        else:
            drawn.append(mark)
    digits = [i for i, mark in enumerate(shape or "99999999") if mark == "9"]
    if entity == "CN_RESIDENT_ID" and len(digits) >= 15:
        # No province has the number 00.
        for place, digit in zip(digits, "000000", strict=False):
            drawn[place] = digit
    elif entity == "PHONE_NUMBER":
        for place, digit in zip(digits, _no_phone(len(digits)), strict=False):
            drawn[place] = digit
    elif entity == "US_SSN":
        # Area 000 is never given out.
        for place, digit in zip(digits, "000", strict=False):
            drawn[place] = digit
    _spoil(drawn, digits)
    if entity == "CN_RESIDENT_ID" and len(digits) > 16:
        _wrong_check(drawn, digits)
    return "".join(drawn)


def _no_phone(count: int) -> str:
    """First digits of a number of so many digits that nobody can be called under.

    10x is no mobile prefix, no area code begins with 011 or 1, no country code with 0, no number of North America
    with 0.
    """
    if count < 11:
        return "011"[: max(1, count - 4)]
    # Of 12 digits the first one may be read as a trunk prefix, and 010 is Beijing's area code.
    return ("1" if count == 12 else "0" * (count - 11)) + "10"


def _wrong_check(drawn: list[str], digits: list[int]) -> None:
    """Give a resident identity number a last character that is not its check digit, nor a card's."""
    from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn

    first = "".join(drawn[i] for i in digits[:17])
    right = resident_id_check(first)
    if len(digits) == 17:
        if drawn[-1].isalpha():
            drawn[-1] = "X" if right != "X" else "Y"
        return
    last = int(drawn[digits[17]])
    wrong = (str((last + step) % 10) for step in range(3))
    drawn[digits[17]] = next(digit for digit in wrong if digit != right and not luhn(first + digit))


def _spoil(drawn: list[str], digits: list[int]) -> None:
    """Change a number that happens to be a valid one of another kind: a mobile number, a card or a resident id."""
    from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn

    plain = "".join(drawn[i] for i in digits)
    if len(plain) == 11 and plain[0] == "1" and plain[1] > "2":
        drawn[digits[1]] = "0"
    elif len(plain) in (15, 18) and plain[0] != "0":
        drawn[digits[0]] = "0"
        plain = f"0{plain[1:]}"
    if len(plain) >= _SHORTEST_CARD and luhn(plain):
        drawn[digits[-1]] = str((int(drawn[digits[-1]]) + 1) % 10)
