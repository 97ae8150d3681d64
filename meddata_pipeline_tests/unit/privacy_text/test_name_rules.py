"""Table tests of the rules for Chinese names: what each finds by itself, and what it leaves alone."""

from __future__ import annotations

import pytest

from meddata_pipeline.privacy.detect import Detector, Known
from meddata_pipeline.privacy.detect.fold import fold, loosen
from meddata_pipeline.privacy.detect.lists import neighbours
from meddata_pipeline.privacy.detect.recognizers import rules
from meddata_pipeline.privacy.detect.types import Span

RULES = {rule.name: rule for rule in rules("zh")}


def found(rule: str, text: str) -> list[str]:
    text = fold(text).text
    return [text[hit.start : hit.end] for hit in sorted(RULES[rule].find(text))]


@pytest.mark.parametrize(
    ("rule", "text", "names"),
    [
        # Labels of a productive shape, parted by a colon, a stroke, a blank, or nothing.
        ("name-behind-label", "核保员：谭雪晴", ["谭雪晴"]),
        ("name-behind-label", "配置者/卢一帆", ["卢一帆"]),
        ("name-behind-label", "营销师 谭雪晴 到访", ["谭雪晴"]),
        ("name-behind-label", "核保员谭雪晴来院", ["谭雪晴"]),
        ("name-behind-label", "质控人(第二):高峰", ["高峰"]),
        ("name-behind-label", "接种者：白玛卓玛", ["白玛卓玛"]),
        ("name-behind-label", "记录员 谭 雪 晴\n", ["谭 雪 晴"]),
        ("name-behind-label", "姓名:柳 青 女 40岁", ["柳 青"]),
        ("name-behind-label", "动员全科人员参加", []),
        ("name-behind-label", "使用者高度紧张", []),
        ("name-behind-label", "来访者墨菲征阳性", []),
        ("name-behind-label", "阳性者：高血压病史", []),
        # Words for who somebody is, of all walks of life.
        ("name-by-role", "理赔员谭雪晴来电", ["谭雪晴"]),
        ("name-by-role", "助产士：卢一帆", ["卢一帆"]),
        ("name-by-role", "患者之子(谭小川)到场", ["谭小川"]),
        ("name-by-role", "技工施兰接待", ["施兰"]),
        ("name-by-role", "家属方向电话不详", ["方向"]),
        ("name-by-role", "由安宁接替", ["安宁"]),
        ("name-by-role", "由谭雪晴接替", ["谭雪晴"]),
        ("name-by-role", "家属商量后同意", []),
        ("name-by-role", "父母管得严", []),
        ("name-by-role", "叔叔阿姨都还好", []),
        ("name-by-role", "老师傅说不疼", []),
        ("name-by-role", "患者水痘诊断成立", []),
        ("name-by-role", "母亲马凡综合征", []),
        ("name-by-role", "系患者孙女，同住", []),
        ("name-by-role", "患者孙女谭雪晴，同住", ["谭雪晴"]),
        ("name-by-role", "陪护孙子涵，同住", ["孙子涵"]),
        # Beds.
        ("name-behind-bed", "12床谭雪晴欠费", ["谭雪晴"]),
        ("name-behind-bed", "+5床 卢一帆 术后", ["卢一帆"]),
        ("name-behind-bed", "03床(谭雪晴)，", ["谭雪晴"]),
        ("name-behind-bed", "8床谭雪转ICU", ["谭雪"]),
        ("name-behind-bed", "8床高峰，9床出院", ["高峰"]),
        ("name-behind-bed", "8床潘姐要出院", []),
        ("name-behind-bed", "8床高热，9床应予观察", []),
        ("name-behind-bed", "共30床位，床旁心电图", []),
        # Titles.
        ("name-before-title", "要求会见危主治医师", ["危"]),
        ("name-before-title", "即告施主任", ["施"]),
        ("name-before-title", "派出所宓警官", ["宓"]),
        ("name-before-title", "随温住院总查房", ["温"]),
        ("name-before-title", "施云芬药师：", ["施云芬"]),
        ("name-before-title", "帕提古丽主任查房", ["帕提古丽"]),
        ("name-before-title", "黎叔，您好", ["黎"]),
        ("name-before-title", "用完找袁婶要", ["袁"]),
        ("name-before-title", "由于主任接诊", ["于"]),
        ("name-before-title", "谈话医生：", []),
        ("name-before-title", "班主任来访", []),
        ("name-before-title", "双方由民警带走", []),
        ("name-before-title", "让下班去护士站领", []),
        ("name-before-title", "烤瓷冠试戴 医师：", []),
        ("name-before-title", "水平医师", []),
        ("name-before-title", "总胆红素，姐姐，高姐夫", []),
        # Nicknames.
        ("name-nickname", "下班找小袁拿药", ["小袁"]),
        ("name-nickname", "老彭，在吗", ["老彭"]),
        ("name-nickname", "夜里老欧阳拔了针", ["老欧阳"]),
        ("name-nickname", "骨小梁清晰，老年，小便，大小陈旧", []),
        ("name-nickname", "小石头，小方块，小管径", []),
        # What only people do.
        ("name-by-act", "\n危来喜之女，出生后", ["危来喜"]),
        ("name-by-act", "。柯佑发言：同意", ["柯佑"]),
        ("name-by-act", "\n曾倩:我也不同意", ["曾倩"]),
        ("name-by-act", "\n母蔡兰代诉", ["蔡兰"]),
        ("name-by-act", "。家属认为，高度认为", []),
        ("name-by-act", "综合认为:我科", []),
        # Veiled names.
        ("name-half-hidden", "47床解××神清", ["解××"]),
        ("name-half-hidden", "夜间施某某家属", ["施某某"]),
        ("name-half-hidden", "澹台某", ["澹台某"]),
        ("name-half-hidden", "了解某种", []),
        # Neighbours.
        ("name-by-context", "谭雪晴(病理科)认为", ["谭雪晴"]),
        ("name-by-context", "关系 孙女 电话", []),
        ("name-by-context", "去掉假牙;水杯、手机", []),
        ("name-with-dot", "我妈跟阿不都热合曼·肉孜住", ["阿不都热合曼·肉孜"]),
    ],
)
def test_what_a_rule_finds(rule: str, text: str, names: list[str]) -> None:
    assert list(dict.fromkeys(found(rule, text))) == names


@pytest.mark.parametrize(
    ("text", "name", "names"),
    [
        ("参加：谭雪晴、卢一帆、施胜、高峰。", "谭雪晴", ["卢一帆", "施胜", "高峰"]),
        ("经夏天/谭雪晴讨论", "谭雪晴", ["夏天"]),
        ("\n夏天/谭雪晴", "谭雪晴", ["夏天"]),
        ("到场 卢一帆 谭雪晴 危安，", "谭雪晴", ["卢一帆", "危安"]),
        ("谭雪晴、高血压、麻醉、安静", "谭雪晴", []),
        ("谭雪晴 麻醉：卢一帆", "谭雪晴", []),
        ("谭雪晴、丁香6g", "谭雪晴", []),
    ],
)
def test_lists_go_on_from_a_certain_name(text: str, name: str, names: list[str]) -> None:
    text = fold(text).text
    start = text.index(name)
    certain = Span(start, start + len(name), "PERSON", 0.9, "name-by-role")
    more = [text[s.start : s.end] for s in sorted(neighbours(text, [certain]))]
    assert more == names
    doubtful = certain._replace(score=0.6)
    assert neighbours(text, [doubtful]) == []


KNOWN = Known(names=("谭菊花",), contacts=(("卢玉芬", ""), ("施国强", "")))


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        ("问菊花在家怎样", "菊花"),
        ("卢玉芬与谭将菊花扶起", "菊花"),
        ("回访时玉芬姐在外地", "玉芬"),
        ("夜里玉芬自己拔针", "玉芬"),
        ("芬芬笑了", "芬芬"),
        ("跟阿强说一声", "阿强"),
        ("找老施拿药", "老施"),
        ("国强叔称没有", "国强"),
        ("谭婶说", "谭"),
    ],
)
def test_variants_of_known_people(text: str, surface: str) -> None:
    spans = Detector("zh").analyze([text], [KNOWN])[0]
    assert surface in [text[s.start : s.end] for s in spans if s.entity == "PERSON"]


@pytest.mark.parametrize("text", ["菊花10g泡水", "阿尔茨海默病", "杭菊花茶", "强强联合用药"])
def test_ordinary_words_are_no_variants(text: str) -> None:
    known = Known(names=("谭菊花",), contacts=(("卢阿尔", ""),))
    spans = Detector("zh").analyze([text], [known])[0]
    assert not [s for s in spans if s.source.startswith("known/")]


@pytest.mark.parametrize(
    ("text", "entity", "surface"),
    [
        ("退款卡号6217 1107 8817 0739，", "CREDIT_CARD", "6217 1107 8817 0739"),
        ("门诊号：4383595402\n30床换药", "MEDICAL_ID", "4383595402"),
        ("手机：15260038144\n46床换药", "PHONE_NUMBER", "15260038144"),
        ("有事打55079783或等明天", "PHONE_NUMBER", "55079783"),
    ],
)
def test_numbers_end_where_they_end(text: str, entity: str, surface: str) -> None:
    spans = [s for s in Detector("zh").analyze([text])[0] if s.entity == entity]
    assert [text[s.start : s.end] for s in spans] == [surface]


def test_a_known_address_ends_with_its_room() -> None:
    address = "苏州市姑苏区临顿路12号3幢501室"
    text = f"现住址：{address}\n08:00予补液"
    spans = Detector("zh").analyze([text], [Known(addresses=(address,))])[0]
    assert [text[s.start : s.end] for s in spans if s.entity == "LOCATION"] == [address]


def test_a_bed_with_a_name_is_no_body() -> None:
    for text in ("07床 谭雪晴 术后", "07床 施 兰，换药"):
        assert found("organization", text) == []
    assert found("organization", "07床 换药") == ["07床"]


def test_a_line_that_begins_with_a_bed_is_not_drawn_up() -> None:
    assert loosen("号码4383595402\n30床换药") is None


def test_whole_names_that_touch_stay_apart() -> None:
    text = "退还谭雪晴卢一帆在场"
    spans = Detector("zh", roster=("谭雪晴", "卢一帆")).analyze([text])[0]
    assert [text[s.start : s.end] for s in spans] == ["谭雪晴", "卢一帆"]


def test_a_known_name_takes_no_kin_word_before_it() -> None:
    known = Known(contacts=(("王远", ""),))
    text = "母王远代诉：皮疹"
    assert [text[s.start : s.end] for s in Detector("zh").analyze([text], [known])[0]] == ["王远"]
    # The surname before a given name is of the name.
    text = "跟魏卫东说"
    known = Known(names=("胡卫东",))
    covered = {i for s in Detector("zh").analyze([text], [known])[0] for i in range(s.start, s.end)}
    assert {1, 2, 3} <= covered
