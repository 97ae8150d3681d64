"""What is known of a patient and of the staff, in every spelling, and where it must not be seen."""

from __future__ import annotations

import pytest

from meddata_pipeline.privacy.detect import Detector, Known, Span
from meddata_pipeline.privacy.detect.fold import Compact, compact_value, fold
from meddata_pipeline.privacy.detect.known import Needles, Roster, birth_of, needles_of

KNOWN = Known(
    names=("仇伟明",),
    resident_ids=("110105198005010036",),
    mobiles=("13812345678", "0571-87654321"),
    record_nos=("BA00771234",),
    addresses=("杭州市西湖区文三路90号2幢301室", "苏州市姑苏区翠苑小区12栋3单元402室"),
    contacts=(("吕 丽", "13987654321"),),
    other=("BX-99887766",),
)
NEEDLES = needles_of(KNOWN)


def found(needles: Needles | Roster, text: str) -> list[tuple[str, str]]:
    """Surface and entity of what known needles alone find in a text."""
    folded = fold(text)
    spans = sorted(set(needles.find(folded.text, Compact(folded.text))))
    whole: list[Span] = [s for s in spans if not any(o != s and o.start <= s.start and s.end <= o.end for o in spans)]
    return [(text[slice(*folded.original(s.start, s.end))], s.entity) for s in whole]


@pytest.mark.parametrize(
    ("text", "surface"),
    [
        # names
        ("今日仇伟明来诊", "仇伟明"),
        ("今日仇 伟 明来诊", "仇 伟 明"),
        ("今日仇\n伟明来诊", "仇\n伟明"),
        ("仇·伟明来诊", "仇·伟明"),
        ("仇主任来电", "仇"),
        ("仇女士来电", "仇"),
        ("仇先生来电", "仇"),
        ("老仇，今来诊", "仇"),
        ("家属称小仇来电", "仇"),
        ("家属仇某来电", "仇某"),
        ("家属仇某某来电", "仇某某"),
        ("仇**来诊", "仇**"),
        ("仇＊＊来诊", "仇＊＊"),
        ("仇XX来诊", "仇XX"),
        ("仇×明来诊", "仇×明"),
        ("仇某明来诊", "仇某明"),
        ("*伟明来诊", "伟明"),
        ("其子伟明陪同", "伟明"),
        ("伟明诉牙痛", "伟明"),
        ("由伟明陪同", "伟明"),
        ("伟明医生好", "伟明"),
        # pinyin; 仇 is Qiu as a surname, and Chou by the dictionary
        ("见Qiu Weiming的片", "Qiu Weiming"),
        ("见QIU WEIMING的片", "QIU WEIMING"),
        ("见qiuweiming的片", "qiuweiming"),
        ("见Weiming Qiu的片", "Weiming Qiu"),
        ("见Qiu^Weiming的片", "Qiu^Weiming"),
        ("见Qiu Wei-Ming的片", "Qiu Wei-Ming"),
        ("见Qiu, Weiming的片", "Qiu, Weiming"),
        ("见QIU/WEIMING的片", "QIU/WEIMING"),
        ("见Qiú Wěimíng的片", "Qiú Wěimíng"),
        ("见W. Qiu的片", "W. Qiu"),
        ("见W.M. Qiu的片", "W.M. Qiu"),
        ("见Qiu WM的片", "Qiu WM"),
        ("姓名缩写：QWM，", "QWM"),
        ("受试者 QWM 入组", "QWM"),
        ("Lyu Li来电", "Lyu Li"),
        ("LU LI来电", "LU LI"),
        ("LÜ LI来电", "LÜ LI"),
        ("吕丽来电", "吕丽"),
        # resident id
        ("证号110105 19800501 0036", "110105 19800501 0036"),
        ("证号110105-1980-0501-0036", "110105-1980-0501-0036"),
        ("证号１１０１０５１９８００５０１００３６", "１１０１０５１９８００５０１００３６"),
        ("证号110105800501003", "110105800501003"),
        ("证号110105********0036", "110105********0036"),
        ("证号1101**********0036", "1101**********0036"),
        ("证号**************0036", "**************0036"),
        ("尾号0036", "0036"),
        ("身份证后四位为0036", "0036"),
        ("证件末4位：0036", "0036"),
        ("身份证后六位010036", "010036"),
        # phones
        ("拨138 1234 5678", "138 1234 5678"),
        ("拨138-1234-5678", "138-1234-5678"),
        ("拨138.1234.5678", "138.1234.5678"),
        ("拨138.123.45678", "138.123.45678"),
        ("拨1381234 5678", "1381234 5678"),
        ("拨+86 138 1234 5678", "138 1234 5678"),
        ("拨0086-13812345678", "13812345678"),
        ("拨138****5678", "138****5678"),
        ("拨138xxxx5678", "138xxxx5678"),
        ("手机尾号5678", "5678"),
        ("手机5678结尾", "5678"),
        ("拨87654321", "87654321"),
        ("拨8765-4321", "8765-4321"),
        ("拨(0571)8765 4321", "(0571)8765 4321"),
        ("拨0571 87654321", "0571 87654321"),
        ("拨139 8765 4321", "139 8765 4321"),
        # record numbers
        ("号BA 00771234", "BA 00771234"),
        ("号00771234", "00771234"),
        # addresses
        ("住文三路90号2幢301室", "文三路90号2幢301室"),
        ("住文三路90号2栋301", "文三路90号2栋301"),
        ("住文三路90-2-301", "文三路90-2-301"),
        ("住翠苑小区12号楼3单元402室", "翠苑小区12号楼3单元402室"),
        ("住翠苑小区12-3-402，", "翠苑小区12-3-402"),
        ("家在翠苑小区附近", "翠苑小区"),
        # date of birth
        ("生于1980年5月1日", "1980年5月1日"),
        ("生于1980-05-01", "1980-05-01"),
        ("生于1980.5.1", "1980.5.1"),
        ("生于80.5.1，", "80.5.1"),
        ("生于80年5月1日", "80年5月1日"),
        ("生于19800501，", "19800501"),
        ("生于01/05/1980", "01/05/1980"),
        ("生于一九八〇年五月一日", "一九八〇年五月一日"),
        ("编号bx99887766", "bx99887766"),
    ],
)
def test_every_variant_is_found_where_it_stands(text: str, surface: str) -> None:
    assert surface in [s for s, _ in found(NEEDLES, text)]


@pytest.mark.skipif(compact_value("張偉") != "张伟", reason="traditional characters are folded in fold.py")
def test_traditional_and_simplified_characters_are_one() -> None:
    assert found(needles_of(Known(names=("張偉",))), "患者张伟") == [("张伟", "PERSON")]
    assert found(needles_of(Known(names=("张伟",))), "患者張偉") == [("張偉", "PERSON")]


@pytest.mark.parametrize(
    "text",
    [
        "前牙仇视",  # a surname is not enough
        "骨质明显增宽",
        "建议3个月复诊，WM 1.2",  # initials need a label
        "CRP 5678 mg/L，WBC 0036",  # last digits need a label
        "血压138/80mmHg，脉搏56",
        "2023-05-01复诊，1981年5月1日",
        "尾号5679",
        "138****5679",
        "Qi uweimingx",
        "伟明显",
        "文三路900号"[3:],
        "qwm",
    ],
)
def test_what_only_resembles_is_left(text: str) -> None:
    assert found(NEEDLES, text) == []


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        # Masked although it is a word: an overlooked patient is the worse error.
        ("安静", "患者安静配合", True),
        ("高明", "高明显好转", True),
        ("周敏", "周敏感觉疼痛", True),
        # Both halves belong to other words.
        ("周敏", "牙周敏感", False),
        ("高明", "升高明显", False),
        ("林静", "阿莫西林静滴", False),
        # In small letters, with English words that are spelt like it.
        ("何梅", "he mei", False),
        ("何梅", "He Mei", True),
        ("李健康", "健康，", False),
        ("梁军", "骨小梁，", False),
        ("于洋", "小于5mm", False),
        ("于洋", "患者于主任查房时", False),
        ("于洋", "请于主任会诊", True),
    ],
)
def test_a_patients_name_among_ordinary_words(name: str, text: str, seen: bool) -> None:
    assert bool(found(needles_of(Known(names=(name,))), text)) is seen


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        ("张静", "已与张静沟通", True),
        ("张静", "扩张静脉曲张", False),
        ("张静", "护士张静脉率记录", True),
        ("周敏", "牙周敏感", False),
        ("高明", "明高明显", False),
        ("高明", "高明医师", True),
        ("安静", "患者安静", True),  # behind a role it is a name
        ("安静", "环境安静", False),
        ("温和", "刺激温和", False),
        ("温和", "护士温和", True),
        ("赵卫国", "卫国医生查看", True),
        ("赵卫国", "卫国而战", False),
        ("赵卫国", "Zhao Weiguo", True),
        ("赵卫国", "zhao weiguo", False),
        ("于洋", "请于主任会诊", True),
        ("于洋", "患者于主任查房时", False),
        ("㑇文", "㑇主任", True),  # a surname that is in no list
    ],
)
def test_a_staff_name_among_ordinary_words(name: str, text: str, seen: bool) -> None:
    assert bool(found(Roster([name]), text)) is seen


def test_birth_dates_of_resident_ids() -> None:
    assert birth_of("110105198005010036") == (1980, 5, 1)
    assert birth_of("110105800501003") == (1980, 5, 1)
    assert birth_of("110105198013010036") is None
    assert birth_of("x") is None


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector(lang="zh")


@pytest.mark.parametrize(
    ("text", "surfaces"),
    [
        ("患者赵敏华入院。查体合作。赵 敏 华要求拔牙", ["赵敏华", "赵 敏 华"]),
        ("患者赵敏华入院。老赵，要求拔牙", ["赵敏华", "赵"]),
        ("患者赵敏华入院。敏华诉疼痛", ["赵敏华", "敏华"]),
        ("患者赵敏华入院。ZHAO MINHUA", ["赵敏华", "ZHAO MINHUA"]),
        ("患者赵敏华入院。赵主任查房", ["赵敏华", "赵"]),
        ("患者周敏。检查：牙周敏感", ["周敏"]),
    ],
)
def test_a_name_found_once_is_found_in_its_variants(detector: Detector, text: str, surfaces: list[str]) -> None:
    assert [text[s.start : s.end] for s in detector.analyze([text])[0] if s.entity == "PERSON"] == surfaces
