"""Addresses down to the room, and places smaller than a province."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.sweep import part
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation, characters, words

_NUMERAL = "一二三四五六七八九十百零"
#: One step down: a name of up to seven ideographs with the word for what it is, or a number with its unit.
_STEP = (
    rf"(?:[\u3400-\u9fff]{{1,7}}?{alternation(words('area_kinds'))}(?![是的院])"
    rf"|第?[0-9{_NUMERAL}A-Za-z]{{1,6}}(?:[\-/][0-9]{{1,5}})*{alternation(words('number_kinds'))}"
    rf"|[\u3400-\u9fff]{{2,6}}(?=[0-9{_NUMERAL}]{{1,5}}(?:号楼|单元|[号栋幢座弄室]))"
    rf"|[东西南北中](?=[0-9{_NUMERAL}]{{1,5}}[号弄栋幢])"
    r"|[0-9]{1,5}(?:-[0-9A-Za-z]{1,5}){1,3}|[0-9]{3,4}(?![0-9.年月日岁mMcC%:]))"
)
_REGION = "(?:省|市|自治区|特别行政区|壮族自治区|回族自治区|维吾尔自治区)?"
_FROM_PROVINCE = compiled(alternation(words("provinces")) + rf"{_REGION}(?:{_STEP}){{1,9}}")
_FROM_CITY = compiled(alternation(words("cities")) + rf"(?:市|地区|州|县|盟)(?:{_STEP}){{0,9}}")
_CITY_BARE = compiled(
    f"{alternation(words('place_before'))}((?:{alternation(words('provinces'))}省?)?{alternation(words('cities'))})"
)
_SIGN = r"[^\s,。;:()!?]"
#: Up to a blank; behind it only what goes on with numbers and their units.
_LABEL = compiled(
    alternation(words("address_labels")) + rf"[:为是在于\s]{{0,3}}({_SIGN}{{2,48}}"
    rf"(?: {_SIGN}{{0,12}}?(?:[省市区县镇乡村路街巷弄号栋幢座室]|单元|小区){_SIGN}{{0,16}}){{0,4}})"
)
#: The label of what comes next, where nothing parts it from the address.
_NEXT = re.compile(r"(?:邮编|电话|手机|联系|身份证|工作单位|户口|籍贯|民族|职业|姓名|性别|年龄|病史|入院|住院号)")
#: A room behind a label of its own.
_ROOM = compiled(r"(?:房间号|房号|门牌号|室号)[:为是 ]{0,2}([0-9A-Za-z][0-9A-Za-z\-]{1,9}(?:[室房号户])?)")
#: 住 and a numbered place, whatever kind of street it names.
_LIVES = compiled(rf"住(?![院址宿房处户])[在于]?((?:[\u3400-\u9fff]{{2,16}})[0-9]{{1,4}}[号弄栋幢](?:{_STEP}){{0,5}})")
_STREET = compiled(rf"[0-9{_NUMERAL}](?<![0-9].)[0-9{_NUMERAL}]{{0,4}}[号弄][楼院]?(?:{_STEP}){{0,5}}")
_BLOCK = compiled(
    rf"[0-9A-Za-z{_NUMERAL}](?<![0-9A-Za-z].)[0-9A-Za-z{_NUMERAL}]{{0,3}}(?:号楼|[栋幢座])"
    rf"(?:[0-9A-Za-z{_NUMERAL}]{{1,4}}(?:单元|[门梯层楼]))?[0-9A-Za-z\-]{{1,6}}[室户房号]?"
)
_UNIT = compiled(rf"[0-9{_NUMERAL}]{{1,3}}单元[0-9]{{2,5}}[室户号]?")
_ROAD = re.compile(alternation(words("street_kinds")) + r"(?:[东西南北中]段?)?$")
_PLACE = re.compile(
    r"[省市区县镇乡村路街巷弄号栋幢室苑园里厂校院部队]|[0-9]{2}|公司|集团|学校|中心|[\u3400-\u9fff]{2}[州旗盟]"
)
_HOUSE = re.compile("[栋幢座]|号楼|单元")


class AddressRule(Rule):
    """Addresses and places."""

    name = "address"
    entities = ("LOCATION",)
    across = True

    def __init__(self) -> None:
        self._stop = characters("not_place")

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 with a known place or a label, 0.7 by street and house number."""
        for match in _FROM_PROVINCE.finditer(text):
            yield Hit(match.start(), match.end(), "LOCATION", 0.85)
        for match in _FROM_CITY.finditer(text):
            yield Hit(match.start(), match.end(), "LOCATION", 0.85)
        for match in _CITY_BARE.finditer(text):
            yield Hit(match.start(1), match.end(1), "LOCATION", 0.7)
        for match in _LABEL.finditer(text):
            start, end = match.span(1)
            following = _NEXT.search(text, start + 2, end)
            if following is not None:
                end = following.start()
            if _PLACE.search(text, start, end):
                yield Hit(start, start + len(text[start:end].rstrip()), "LOCATION", 0.85)
        if "住" in text:
            for match in _LIVES.finditer(text):
                yield Hit(*match.span(1), "LOCATION", 0.75)
        for match in _ROOM.finditer(text):
            yield Hit(*match.span(1), "LOCATION", 0.7)
        if "号" in text or "弄" in text:
            for match in _STREET.finditer(text):
                street = self._street_start(text, match.start())
                if street is not None:
                    yield Hit(street, match.end(), "LOCATION", 0.75)
        for match in _BLOCK.finditer(text):
            if any(c.isdigit() for c in match.group()[-5:]):
                yield Hit(match.start(), match.end(), "LOCATION", 0.6)
        for match in _UNIT.finditer(text):
            if _HOUSE.search(text, *part(text, match.start())):
                yield Hit(match.start(), match.end(), "LOCATION", 0.7)

    def _street_start(self, text: str, number: int) -> int | None:
        """Where the name of the street before a house number begins, or None where there is no street."""
        start = number
        while (
            start
            and number - start < 12
            and "\u3400" <= text[start - 1] <= "\u9fff"
            and text[start - 1] not in self._stop
        ):
            start -= 1
        return start if number - start >= 2 and _ROAD.search(text, start, number) else None
