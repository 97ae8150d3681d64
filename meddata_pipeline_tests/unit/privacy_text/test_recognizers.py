"""Table tests: for every recognizer what it must find and what it must leave alone."""

from __future__ import annotations

import pytest

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect import ENTITIES, Detector, Known, build_analyzer
from meddata_pipeline.privacy.detect.recognizers import rules
from meddata_pipeline.privacy.detect.recognizers.bank_card import luhn
from meddata_pipeline.privacy.pseudonym import resident_id_check

FOUND = [
    # resident id
    ("身份证号110105199003078570", "CN_RESIDENT_ID", "110105199003078570"),
    ("身份证１１０１０５１９９００３０７８５７０。", "CN_RESIDENT_ID", "１１０１０５１９９００３０７８５７０"),
    ("证件110105 19900307 857X查", "CN_RESIDENT_ID", "110105 19900307 857X"),
    ("旧证110105900307857，", "CN_RESIDENT_ID", "110105900307857"),
    ("身份证110105********8570", "CN_RESIDENT_ID", "110105********8570"),
    # phones
    ("电话13812345678", "PHONE_NUMBER", "13812345678"),
    ("手机138-1234-5678。", "PHONE_NUMBER", "138-1234-5678"),
    ("联系方式：+86 138 1234 5678，", "PHONE_NUMBER", "+86 138 1234 5678"),
    ("１３８１２３４５６７８", "PHONE_NUMBER", "１３８１２３４５６７８"),
    ("家里电话是021-62345678转801", "PHONE_NUMBER", "021-62345678转801"),
    ("座机(0571)87654321", "PHONE_NUMBER", "(0571)87654321"),
    ("手机一三八一二三四五六七八", "PHONE_NUMBER", "一三八一二三四五六七八"),
    ("Phone: (212) 555-0123", "PHONE_NUMBER", "(212) 555-0123"),
    # numbers of the hospital
    ("住院号：ZY00123456", "MEDICAL_ID", "ZY00123456"),
    ("病理号 B2023-00123，", "MEDICAL_ID", "B2023-00123"),
    ("MRN: 00441122", "MEDICAL_ID", "00441122"),
    ("见HX88990011原片", "MEDICAL_ID", "HX88990011"),
    # dates
    ("于2023年5月1日就诊", "DATE_TIME", "2023年5月1日"),
    ("2023-05-01 14:30:05入院", "DATE_TIME", "2023-05-01 14:30:05"),
    ("2023/5/1复诊", "DATE_TIME", "2023/5/1"),
    ("２０２３年０５月０１日", "DATE_TIME", "２０２３年０５月０１日"),
    ("二〇二三年五月十二日", "DATE_TIME", "二〇二三年五月十二日"),
    ("5月12日拔除", "DATE_TIME", "5月12日"),
    ("20230512摄片", "DATE_TIME", "20230512"),
    ("seen on May 5, 2023.", "DATE_TIME", "May 5, 2023"),
    ("on 05/12/2023 at", "DATE_TIME", "05/12/2023"),
    # ages
    ("患者，92岁，", "AGE", "92岁"),
    ("a 94-year-old woman", "AGE", "94-year-old"),
    # addresses
    ("住址：苏州市姑苏区临顿路12号3幢501室。", "LOCATION", "苏州市姑苏区临顿路12号3幢501室"),
    ("家住学府路317号，", "LOCATION", "学府路317号"),
    # names
    ("患者张伟因牙痛就诊", "PERSON", "张伟"),
    ("医师签名：欧阳娜娜", "PERSON", "欧阳娜娜"),
    ("王主任查房", "PERSON", "王"),
    ("由李明华医师操作", "PERSON", "李明华"),
    ("其妻李梅陪同", "PERSON", "李梅"),
    ("刘洋，男，45岁", "PERSON", "刘洋"),
    ("家属阿依古丽·买买提陪同", "PERSON", "阿依古丽·买买提"),
    ("李某某诉牙痛", "PERSON", "李某某"),
    ("患者王有才，男", "PERSON", "王有才"),
    ("Patient: John Smith presented", "PERSON", "John Smith"),
    ("seen by Dr. Jane Doe", "PERSON", "Jane Doe"),
    ("ZHANG^WEI", "PERSON", "ZHANG^WEI"),
    # the rest
    ("邮箱zhang.wei@example.com。", "EMAIL_ADDRESS", "zhang.wei@example.com"),
    ("见https://example.com/a?b=1。", "URL", "https://example.com/a?b=1"),
    ("地址192.168.10.4登录", "IP_ADDRESS", "192.168.10.4"),
    ("卡4111 1111 1111 1111付款", "CREDIT_CARD", "4111 1111 1111 1111"),
    ("护照号E12345678", "CN_PASSPORT", "E12345678"),
    ("港澳通行证C12345678", "CN_HKM_PERMIT", "C12345678"),
    ("台胞证号：01234567", "CN_TW_PERMIT", "01234567"),
    ("军官证：南字第01234567号", "CN_OFFICER_CARD", "南字第01234567号"),
    ("医保卡号：A1234567890", "CN_INSURANCE", "A1234567890"),
    ("车牌沪A12345", "CN_PLATE", "沪A12345"),
    ("新能源粤B·D12345停", "CN_PLATE", "粤B·D12345"),
    ("微信号：abc_123456", "SOCIAL_ID", "abc_123456"),
    ("QQ:123456789", "SOCIAL_ID", "123456789"),
    ("SSN 123-45-6789", "US_SSN", "123-45-6789"),
    ("就诊于苏州市立医院", "ORGANIZATION", "苏州市立医院"),
    ("收入口腔内科三病区", "ORGANIZATION", "口腔内科三病区"),
    ("条码990011223344", "MEDICAL_ID", "990011223344"),
]

LEFT_ALONE = [
    "患者张口受限，咬合关系可，牙龈红肿。",
    "患者高血压病史10年，黄疸（-），白细胞6.5×10^9/L。",
    "患者方便时复诊，严重时随诊，常规消毒。",
    "上级医师同意，责任护士交班，全科医生转诊。",
    "CRP 12.5 mg/L，IL-6 3.4 pg/mL，血压120/80 mmHg。",
    "36牙Ⅱ类洞，根管长度20.5mm，#25锉。",
    "rs1800795 C/G，NM_000600.5:c.-237，g.22727026C>G。",
    "K04.003x001，LOINC 1988-5，J01CA04。",
    "转回我院，当地医院治疗，外院拍片。",
    "患者45岁，发病3天，口服3日，术后5个月。",
    "≥90岁者，90岁以上，90+",
    "帕金森病，克罗恩病，贝尔面瘫。",
    "疼痛评分3/10，1/2牙冠缺损，比例1:100。",
    "The patient denies fever. Tooth 36 was treated with root canal therapy.",
]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(id_patterns={"patient_no": r"HX\d{8}"})


@pytest.mark.parametrize(("text", "entity", "surface"), FOUND, ids=[f"{e}-{i}" for i, (_, e, _) in enumerate(FOUND)])
def test_found(detector: Detector, text: str, entity: str, surface: str) -> None:
    found = [(s.entity, text[s.start : s.end]) for s in detector.analyze([text])[0]]
    assert (entity, surface) in found


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_left_alone(detector: Detector, text: str) -> None:
    assert [(s.entity, text[s.start : s.end], s.source) for s in detector.analyze([text])[0]] == []


def test_every_rule_is_a_presidio_recognizer_of_its_own() -> None:
    from presidio_analyzer import EntityRecognizer

    analyzer = build_analyzer(("zh",), fused=False)
    assert len(analyzer.registry.recognizers) == len(rules("zh")) + 1  # and the names model
    assert all(isinstance(recognizer, EntityRecognizer) for recognizer in analyzer.registry.recognizers)
    text = "患者张伟，电话１３８１２３４５６７８"
    found = {(r.entity_type, text[r.start : r.end]) for r in analyzer.analyze(text, "zh")}
    assert {("PERSON", "张伟"), ("PHONE_NUMBER", "１３８１２３４５６７８")} <= found


def test_rules_name_known_entities_only() -> None:
    assert {entity for rule in rules("zh") for entity in rule.entities} <= set(ENTITIES)


def test_priority_decides_not_length(detector: Detector) -> None:
    text = "2023年5月1日苏州市立医院就诊"
    found = {(s.entity, text[s.start : s.end]) for s in detector.analyze([text])[0]}
    assert ("DATE_TIME", "2023年5月1日") in found
    assert any(entity == "ORGANIZATION" for entity, _ in found)


def test_a_name_found_once_is_found_everywhere(detector: Detector) -> None:
    text = "患者赵敏入院。查体合作。赵敏要求拔牙"
    assert [text[s.start : s.end] for s in detector.analyze([text])[0]] == ["赵敏", "赵敏"]


KNOWN = Known(
    names=("卓小岚",),
    resident_ids=("110105199003078570",),
    mobiles=("13812345678", "0571-87654321"),
    record_nos=("00771234",),
    addresses=("杭州市西湖区文三路90号2幢301室",),
    contacts=(("钟离春", "13987654321"),),
    other=("BX-99887",),
)


@pytest.mark.parametrize(
    "surface",
    [
        "卓小岚",
        "卓 小 岚",
        "110105 1990 0307 8570",
        "138 1234 5678",
        "87654321",
        "771234",
        "文三路90号2幢301室",
        "２幢３０１室",
        "钟离春",
        "139-8765-4321",
        "bx99887",
    ],
)
def test_what_is_known_is_found_in_near_variants(detector: Detector, surface: str) -> None:
    text = f"牙髓活力测试结果{surface}已核实"
    spans = detector.analyze([text], [KNOWN])[0]
    covered = {i for s in spans for i in range(s.start, s.end)}
    start = text.index(surface)
    assert all(i in covered for i in range(start, start + len(surface)) if text[i].isalnum())
    assert detector.analyze([text])[0] is not spans


def test_roster_is_found_without_a_role_word() -> None:
    text = "已与卓小岚沟通"
    spans = Detector(roster=["卓小岚"]).analyze([text])[0]
    assert [(text[s.start : s.end], s.source) for s in spans] == [("卓小岚", "roster")]


def test_invisible_characters_do_not_hide_a_number(detector: Detector) -> None:
    text = "电话138\u200b1234\u200b5678。"
    assert [text[s.start : s.end] for s in detector.analyze([text])[0]] == ["138\u200b1234\u200b5678"]


def test_placeholders_are_no_findings(detector: Detector) -> None:
    assert detector.analyze(["患者[PERSON_1]于[DATE_TIME_2]入院，电话[PHONE_NUMBER_1]"])[0] == []


def test_a_wrong_pattern_names_its_field() -> None:
    with pytest.raises(ConfigError, match=r"id_patterns\.visit_no"):
        Detector(id_patterns={"visit_no": "("})


def test_check_digits() -> None:
    assert resident_id_check("11010519491231002") == "X"
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")
