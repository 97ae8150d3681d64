"""Made-up values: identity numbers with right check digits, phone numbers, cards, dates.

What belongs here: numbers and codes. What does not: how an author spells them (the styles); words.
"""

from __future__ import annotations

import datetime as dt
from random import Random

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_REGIONS = (
    "110108",
    "310115",
    "320583",
    "330106",
    "340123",
    "420111",
    "440305",
    "510107",
    "610113",
    "230102",
    "659001",
)
_AREAS = ("010", "021", "022", "023", "024", "025", "027", "028", "029", "0571", "0512", "0731", "0755", "0991", "0898")
_SHENG = "京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼新"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def digits(rng: Random, count: int) -> str:
    """Digits, the first of which is not zero."""
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def day(rng: Random, first: int = 2019, last: int = 2024) -> dt.date:
    """A day between two years."""
    return dt.date(rng.randint(first, last), 1, 1) + dt.timedelta(days=rng.randint(0, 364))


def resident_id(rng: Random, born: dt.date) -> str:
    """18 digits with the check digit of ISO 7064 MOD 11-2."""
    body = rng.choice(_REGIONS) + born.strftime("%Y%m%d") + f"{rng.randint(1, 999):03d}"
    total = sum(int(c) * w for c, w in zip(body, _WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def old_resident_id(rng: Random, born: dt.date) -> str:
    """The 15-digit form of before 1999."""
    return rng.choice(_REGIONS) + born.strftime("%y%m%d") + f"{rng.randint(1, 999):03d}"


def mobile(rng: Random) -> str:
    """Eleven digits."""
    return "1" + rng.choice("3456789") + "".join(str(rng.randint(0, 9)) for _ in range(9))


def landline(rng: Random) -> tuple[str, str]:
    """Area code and local number."""
    area = rng.choice(_AREAS)
    return area, str(rng.randint(2, 8)) + "".join(str(rng.randint(0, 9)) for _ in range(7 if len(area) == 3 else 6))


def bank_card(rng: Random, count: int = 19) -> str:
    """A card number with Luhn's check digit."""
    body = rng.choice(("6222", "6217", "6228", "6225", "4367", "5218", "3568")) + "".join(
        str(rng.randint(0, 9)) for _ in range(count - 5)
    )
    total = 0
    for i, c in enumerate(reversed(body)):
        value = int(c) * (2 - i % 2)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def passport(rng: Random) -> str:
    """A passport number, ordinary or official."""
    kind = rng.choice(("E", "E", "E", "G", "P", "D", "S", "EA", "EH", "EK"))
    return kind + "".join(str(rng.randint(0, 9)) for _ in range(9 - len(kind)))


def hkm_permit(rng: Random) -> str:
    """A permit of residents of Hong Kong or Macau, or of mainlanders who go there."""
    kind = rng.choice("HHMC")
    return kind + "".join(str(rng.randint(0, 9)) for _ in range(rng.choice((8, 10)) if kind != "C" else 8))


def tw_permit(rng: Random) -> str:
    """A permit of residents of Taiwan, or of mainlanders who go there."""
    kind = rng.choice(("", "", "L", "T"))
    return kind + "".join(str(rng.randint(0, 9)) for _ in range(8 if kind else rng.choice((8, 10))))


def officer_card(rng: Random) -> str:
    """The number of an officer's or a soldier's card."""
    return f"{rng.choice('军士南武海空北政')}字第{digits(rng, rng.choice((7, 8)))}号"


def insurance(rng: Random) -> str:
    """A medical insurance number."""
    return rng.choice(
        (
            "".join(rng.choice(_LETTERS) for _ in range(rng.choice((1, 2)))) + digits(rng, rng.choice((8, 9, 10))),
            digits(rng, rng.choice((9, 10, 12))),
        )
    )


def plate(rng: Random) -> str:
    """A licence plate, some of new-energy cars, some of special kinds."""
    province, city = rng.choice(_SHENG), rng.choice("ABCDEFGHJ")
    kind = rng.random()
    if kind < 0.25:
        return province + city + rng.choice("DF") + "".join(str(rng.randint(0, 9)) for _ in range(5))
    tail = "".join(rng.choice("0123456789" if rng.random() < 0.8 else _LETTERS) for _ in range(3)) + digits(rng, 2)
    if kind < 0.35:
        return province + city + digits(rng, 4) + rng.choice("挂学警")
    return province + city + tail


def email(rng: Random, stem: str) -> str:
    """An e-mail address."""
    host = rng.choice(("163.com", "qq.com", "126.com", "sina.com.cn", "outlook.com", "foxmail.com", "mail.hosp.org"))
    return f"{stem}{rng.choice(('', '_', '.'))}{rng.randint(1, 9999)}@{host}"


def ip(rng: Random) -> str:
    """An IPv4 address."""
    return f"{rng.choice((10, 172, 192))}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
