"""Hospitals, clinics, schools and employers by name. 我院, 外院 and other words without a name are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.recognizers.name_shape import settled_name, transliterated
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, word_set, words

_KIND = compiled(alternation([*words("organization_kinds"), *words("clinic_kinds")]))
_PLACE = compiled(alternation([*words("provinces"), *words("cities")]))
#: A part of the body that is named: 省立医院口腔科, 某银行解放路支行.
_BRANCH = re.compile(r"[\u3400-\u9fff]{0,6}?(?:口腔科|牙科|分院|院区|支行|分行|分店|校区|店)")
#: What may stand between a body and the body that it belongs to.
_LINK = re.compile("第?[一二三四五六七八九十]?")
#: A numbered part of an outpatient department: 门诊二区.
_AREA = compiled(r"(?:门诊|病房|住院)[0-9一二三四五六七八九十]{1,2}[区部]")
#: Private dental practices often have no other word for what they are.
_PRACTICE = compiled(
    r"[在于到去往至](?![在于到去往至])[\u3400-\u9fff]{2,4}(?:口腔|齿科|牙科|牙医)(?![内外颌黏粘粉卫科诊门医科])"
)
#: An employer by what is done there.
_EMPLOYER = compiled(r"[系是在为](?![系是在为])([\u3400-\u9fff]{3,14})(?:员工|职工|工人|教师|学生|工作|上班|任职|退休)")
_NUMBER = r"[0-9一二三四五六七八九十]"
_UNIT = "(?:病区|病房|病室|护理单元|诊区|诊室|诊间)"
#: A numbered ward, with its department: 口腔内科三病区, 内科一区, 三病区12床.
_WARD = compiled(
    rf"第?{_NUMBER}(?<![0-9].){_NUMBER}{{0,2}} ?号?{_UNIT}(?:{_NUMBER}{{1,3}}段?)?(?:加?[0-9]{{1,3}}号?床)?"
)
#: The department in front of a ward's number.
_DEPARTMENT = re.compile(f"(?:{alternation(words('departments'))}|[东南西北中]|[A-Z]{{2,5}})$")
#: A numbered department is a ward: 心内三科. 口腔科 alone is clinical content.
_UNIT_OF = compiled(
    alternation(word.removesuffix("科") for word in words("departments") if len(word) < 5)
    + "[一二三四五六七八九十]科(?!室)"
)
#: 上海九院, 市二院, 苏大附一院.
_SHORT = compiled(
    rf"(?:{alternation([*words('provinces'), *words('cities')])}市?"
    r"|[市省县区](?<![^在于到去转往至从由,。;:\s].)|[\u3400-\u9fff]大附?)"
    r"(?:附|第)?[一二三四五六七八九十]{1,2}院(?![长校系内外感前后区])"
)
#: Somebody's bed; not 床旁, not how many beds there are.
_BED = compiled(r"[加0-9](?<![0-9.].)[0-9]{0,2}号?床(?=[,。:;\s患病产家新]|$)(?<!位床)")
_BLANKS = re.compile("[ :(]{1,3}")
_SPACED = re.compile(r"[\u3400-\u9fff]{1,2} {1,2}[\u3400-\u9fff](?: |[,。;\n]|$)")
#: Stands in for what was found when a text is looked at again (detect/engine.py).
MASK = "\u25a1"
#: 县人民医院 names a hospital to everybody who knows the county.
_LEVELS = frozenset("省市县区州旗镇乡村")
_LONGEST = 14


def _somebody(text: str, i: int) -> bool:
    """Whether a name behind a bed says whose it is (07床 施云, 7床 柳 嘉 薇), or has been found and masked already."""
    if text.startswith(MASK, i) or _SPACED.match(text, i) or transliterated(text, i) is not None:
        return True
    found = settled_name(text, i)
    return found is not None or (text[i : i + 2] in word_set("ordinary_names") and grammar().ends(text, i + 2))


class OrganizationRule(Rule):
    """Named bodies."""

    name = "organization"
    entities = ("ORGANIZATION",)
    across = True

    def __init__(self) -> None:
        self._stop = characters("not_place")
        self._verbs = self._stop - {"科"}
        self._plain = word_set("organization_plain")
        self._generic = word_set("organization_generic") | word_set("clinic_kinds")

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75 with a place in the name, 0.6 without."""
        last = (0, 0)
        for match in _KIND.finditer(text):
            kind = match.start()
            if match.group() == "银行" and text.startswith("卡", match.end()):
                continue
            start = kind
            while start and kind - start < _LONGEST and self._is_part(text[start - 1]):
                start -= 1
            if last[0] < last[1] <= start <= last[1] + 2 and _LINK.fullmatch(text, last[1], start):
                # 学院附属医院: the second body belongs to the first.
                yield Hit(last[0], self._end(text, match.end()), "ORGANIZATION", 0.75)
                last = (last[0], match.end())
                continue
            place = _PLACE.search(text, start, kind)
            if place is not None:
                last = (place.start(), match.end())
                yield Hit(place.start(), self._end(text, match.end()), "ORGANIZATION", 0.75)
                continue
            own = text[start:kind]
            if match.group() in self._generic and (
                own.isascii() or own.endswith(tuple(self._plain)) or (len(own) < 2 and own not in _LEVELS)
            ):
                continue
            last = (start, match.end())
            yield Hit(start, self._end(text, match.end()), "ORGANIZATION", 0.6)
        for match in _PRACTICE.finditer(text):
            own = match.group()[1:]
            if not own.startswith(tuple(self._plain)) and not any(c in self._verbs for c in own):
                yield Hit(match.start() + 1, match.end(), "ORGANIZATION", 0.6)
        for match in _EMPLOYER.finditer(text):
            if not match.group(1).startswith(tuple(self._plain)):
                yield Hit(*match.span(1), "ORGANIZATION", 0.55)
        for match in _AREA.finditer(text):
            yield Hit(match.start(), match.end(), "ORGANIZATION", 0.6)
        for match in _WARD.finditer(text):
            department = _DEPARTMENT.search(text, max(0, match.start() - 10), match.start())
            start = department.start() if department else match.start()
            yield Hit(start, match.end(), "ORGANIZATION", 0.6)
        for match in _UNIT_OF.finditer(text):
            yield Hit(match.start(), match.end(), "ORGANIZATION", 0.55)
        if "院" in text:
            for match in _SHORT.finditer(text):
                yield Hit(match.start(), match.end(), "ORGANIZATION", 0.6)
        if "床" in text:
            for match in _BED.finditer(text):
                behind = _BLANKS.match(text, match.end())
                if behind is not None and _somebody(text, behind.end()):
                    continue
                yield Hit(match.start(), match.end(), "ORGANIZATION", 0.55)

    @staticmethod
    def _end(text: str, end: int) -> int:
        branch = _BRANCH.match(text, end)
        return branch.end() if branch else end

    def _is_part(self, character: str) -> bool:
        if "\u3400" <= character <= "\u9fff":
            return character not in self._verbs
        return character.isdigit() or character in "()"
