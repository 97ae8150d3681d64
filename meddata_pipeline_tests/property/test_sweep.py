"""The sweep leaves out only places at which nothing can be found, and no finding reaches from one text into another."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meddata_pipeline.privacy.detect import sweep
from meddata_pipeline.privacy.detect.adapter import SEPARATOR, FusedRecognizer
from meddata_pipeline.privacy.detect.recognizers import mobile, rules
from meddata_pipeline.privacy.detect.recognizers.base import features
from meddata_pipeline.privacy.detect.sweep import Pattern, swept

#: Pieces of which anything that a rule looks for may come together by chance, whole or cut in two.
_PIECES = (
    "患者|姓名:|张伟|王主任|李某|,男,45岁|电话|13812345678|138 1234 5678|尾号5678|身份证号|11010119900307|1234|X|"
    "110101199003071234|护照|E12345678|病历号:|AB-123456|ID |2024年3月5日|三月|5月|2024-03-05|20240305|03/04/2024|"
    "Mar 5, 2024|March|去年3月|Dr. Smith|MD|my name is |A B|Patient: |Zhang Wei|^|a@b.cn|http://x.cn/a|10.0.0.1|"
    "fe80::1|00:1a:2b:3c:4d:5e|6222021234567890128|4111 1111 1111 1111|123-45-6789|(212) 555-0100| ext 5|+86|微信|"
    "wx_abc12|QQ:12345678|北京市朝阳区|幸福路|5号|3栋|2单元|502室|12 Main St|同济医院|口腔科|三病区|京A·12345|社保号|"
    "医保卡号|军官证|南字第1234567号|阿依古丽|·|买买提|99岁|九十一岁|(|)|[|:|。|,|\n|\t|*|**|×|✕✕✕✕✕✕✕✕|𠮷|1|2|99|x|"
    "V1234|年|月|日|号|弄|Ä|Éa| |家属|主治医师:|、|李娜|由|+1 212 555 0100|my name is john|"
    "SN A1234567|(01)12345678901234|serial no. 88123456|member id A1234567|NHS 943 476 5919|driver license D1234567|"
    "VIN|1HGCM82633A004352|GB29NWBK60161331926819|IBAN |GB00NWBK60161331926819|scan_01.jpg|a.dcm|参保|,A1234567|"
    "\n张伟\n| |张伟/李娜|/|张伟 2024-03-05|Springfield, IL 62701|Apt 5, \n|P.O. Box 12|SW1A 1AA|Mannerheimintie 5|"
    "灌注师|接种者:|接种者 |12床陈玉芬|+5床 李梅|03床(王某)|柯佑发言|危来喜之女|曾倩:我也不同意|"
    "\n曾倩:|小袁|老彭|找|欠费"
)
_RULES = [rule for rule in rules("zh", {"visit": "V[0-9]{3,}|^张.$"}) if rule.across]


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule.name)
def test_many_texts_at_once_hold_what_each_of_them_holds(rule: object) -> None:
    chance = random.Random(3)
    texts = ["".join(chance.choices(_PIECES.split("|"), k=chance.randrange(9))) for _ in range(6_000)]
    fused = FusedRecognizer([rule], "zh", folded=True)  # type: ignore[list-item]
    expected, base = set(), 0
    for text in texts:
        if rule.needs in features(text):  # type: ignore[attr-defined]
            expected |= {(base + h.start, base + h.end, h.entity, h.score) for h in rule.find(text)}  # type: ignore[attr-defined]
        base += len(text) + 1
    found = fused.analyze(SEPARATOR.join(texts), list(fused.supported_entities))
    assert {(r.start, r.end, r.entity_type, r.score) for r in found} == expected
    assert len(expected) > 5


def _expressions() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\d", r"\S", "张", "𠮷", "(?:ab|b|张三)", "[b-𠮷]"])
    tails = st.sampled_from(["", "?", "*", "{2}", "{1,3}", "+?", "(?![a])", "(?<![ab].)", "(?=b)"])
    return st.lists(st.tuples(atoms, tails), min_size=1, max_size=5).map(lambda p: "".join(a + t for a, t in p))


@settings(max_examples=150, deadline=None)
@given(_expressions(), st.lists(st.text("ab张三𠮷1 \n", max_size=12), min_size=1, max_size=6))
def test_any_expression_finds_the_same(expression: str, texts: list[str]) -> None:
    plain = re.compile(expression)
    if plain.match("") or any(not m.group() for text in texts for m in plain.finditer(text)):
        return
    with pytest.MonkeyPatch.context() as patch:
        # Alone: the tables of all patterns take a while.
        patch.setattr(sweep, "_PATTERNS", [])
        patch.setattr(sweep, "_tables", lambda count: sweep._Tables(sweep._PATTERNS[:count]))
        pattern = Pattern(expression)
        joined, expected, base = SEPARATOR.join(texts), [], 0
        for text in texts:
            expected += [(base + m.start(), base + m.end()) for m in plain.finditer(text)]
            base += len(text) + 1
        with swept(joined):
            assert [m.span() for m in pattern.finditer(joined)] == expected


def test_what_every_match_holds_is_looked_for_in_each_text() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "_PATTERNS", [])
        patch.setattr(sweep, "_tables", lambda count: sweep._Tables(sweep._PATTERNS[:count]))
        pattern = Pattern(r"[a-z][a-z0-9]*\.(?:cn|de)(?!x)", holds=r"\.(?:cn|de)")
        joined = SEPARATOR.join(["abc", "ab.cn", "b.cnx", "", "c.de", "d"])
        with swept(joined):
            assert [m.group() for m in pattern.finditer(joined)] == ["ab.cn", "c.de"]


def test_outside_of_a_sweep_a_pattern_is_a_plain_one() -> None:
    pattern = mobile._PLAIN
    with swept("电话13812345678"):
        assert [m.group() for m in pattern.finditer("打13912345678。")] == ["13912345678"]
