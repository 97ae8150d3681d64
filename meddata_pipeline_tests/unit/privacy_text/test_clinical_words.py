"""The clinical vocabulary: that it is well formed, keeps nobody's name as a word, and knows a drug by its stem."""

from __future__ import annotations

from collections import Counter

import pytest

from meddata_pipeline.privacy.detect.fold import simplify
from meddata_pipeline.privacy.detect.models.lexicon import (
    CLINICAL_GROUPS,
    clinical_list,
    clinical_words,
    cuts_word,
    is_drug,
    is_shortened_drug,
    lexicon,
)
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.words import characters

#: Characters that are frequent in given names, by general knowledge; the product does not know this list.
GIVEN = frozenset(
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂文辉玲红华梅国建志玉兰春海云林峰波宁鹏飞斌宇浩凯健俊帆雪婷洁慧莹琳"
    "欣佳颖燕萍琴凤珍莉清荣永成龙山生金晓新庆立东亮阳晨雨思子嘉梓涵一博轩怡诗可心安康乐瑞泽航睿天福德义仁贵富祥胜利民"
    "学忠良正光宏世家振兴长少元松柏森江河川石岩竹菊莲荷花叶青蓝白冰雯倩蕾薇芸芬芝香美爱媛妍姝琪瑶璐珊瑜琦彤彬栋楠枫桦"
    "榕楷权信诚武威毅坚卫保维克勤俭智才进跃先培启发达通远鸿翔鹤羽"
)
STEMS = ("drug_endings", "drug_beginnings")


def _like_a_name(word: str) -> bool:
    """A surname and one or two characters that are frequent in given names."""
    surname = grammar().surname_length(word, 0)
    given = word[surname:]
    return bool(surname) and 1 <= len(given) <= 2 and all(c in GIVEN for c in given)


def test_each_word_stands_once() -> None:
    counts = Counter(word for name in (*CLINICAL_GROUPS, "ambiguous") for word in clinical_list(name))
    assert [word for word, count in counts.items() if count > 1] == []
    for name in (*STEMS, "also_given", "reviewed"):
        assert len(set(clinical_list(name))) == len(clinical_list(name)), name


def test_words_are_what_folded_texts_hold() -> None:
    """Two or more ideographs, and none of them a traditional one: folding would have changed it."""
    every = [w for name in (*CLINICAL_GROUPS, "ambiguous", *STEMS) for w in clinical_list(name)]
    assert [w for w in every if not all(map(is_han, w)) or simplify(w) != w] == []
    assert [w for w in clinical_words() if len(w) < 2] == []


def test_words_that_look_like_full_names_have_been_reviewed() -> None:
    """As many as are found, no more: a mark that marks nothing would hide the next word."""
    assert {w for w in clinical_words() if _like_a_name(w)} == set(clinical_list("reviewed"))


def test_no_frequent_full_name_is_kept_as_a_word() -> None:
    """Surnames that a third of the people bear, before frequent given characters."""
    kept = {a + b for a in "王李张刘陈杨赵吴徐孙胡郭何" for b in GIVEN} & clinical_words()
    assert kept <= {"孙子"}
    assert not {a + b + c for a in "王李张刘陈杨赵吴徐" for b in GIVEN for c in GIVEN} & clinical_words()


def test_marks_mark_something() -> None:
    assert set(clinical_list("also_given")) <= clinical_words() | set(clinical_list("ambiguous"))


@pytest.mark.parametrize(
    ("group", "held"),
    [
        ("drugs", "达美康 格华止 拜新同 立普妥 波立维 倍他乐克"),
        ("herbs", "黄芪 白术 杜仲 刘寄奴 徐长卿 何首乌 王不留行 桂枝"),
        ("formulas", "六味地黄丸 归脾汤"),
        ("eponyms", "帕金森 克罗恩 浦肯野 希氏 汉密尔顿 莫尔斯 布雷登 陈施 奥弗 巴宾斯基 牛眼征"),
        ("anatomy_findings", "黄染 白线 周围 高调 平脐"),
        ("shorthand", "神清 纳差 未及 谢邀"),
        ("offices", "住院总 谈话医生 孙子 房东"),
        ("ambiguous", "高峰 白雪 丁香 戴冠 石磊 张力 艾力"),
    ],
)
def test_known_words_stand_in_their_group(group: str, held: str) -> None:
    assert set(held.split()) <= set(clinical_list(group))


@pytest.mark.parametrize("word", ["阿莫西林", "匹伐他汀", "沙库巴曲缬沙坦", "头孢唑肟", "盐酸帕罗韦德", "奈玛替尼"])
def test_a_stem_shows_a_drug(word: str) -> None:
    assert is_drug(word)


def test_no_chinese_name_is_a_drug() -> None:
    """Every surname before every stem that is short enough for a given name, and before the begin of longer ones."""
    given = {stem[:2] for name in STEMS for stem in clinical_list(name)}
    given |= {stem for name in STEMS for stem in clinical_list(name) if len(stem) <= 2}
    surnames = grammar().surnames | grammar().compound
    assert [s + g for s in surnames for g in given if is_drug(s + g)] == []


@pytest.mark.parametrize("name", ["卡斯特罗", "伊丽莎白", "戈德施米特", "伊丽莎贝特", "奥古斯汀", "瓦西利耶夫"])
def test_no_foreign_name_is_a_drug(name: str) -> None:
    assert not is_drug(name)


def test_the_stems_take_no_person_of_the_lexicon_for_a_drug() -> None:
    """The segmenter's list calls some drugs persons; what the stems claim of it must be drugs that are listed here."""
    foreign = characters("foreign_names")
    claimed = {w for w in lexicon().names if is_drug(w) and all(c in foreign for c in w)}
    assert claimed <= clinical_words()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("改伊马400维持", "伊马"),
        ("沙利50夜服", "沙利"),
        ("予秋水仙，", "秋水仙"),
        ("代文80mg早", "代文"),
        ("阿奇，隔离", "阿奇"),
    ],
)
def test_a_drug_is_known_by_its_beginning(text: str, word: str) -> None:
    at = text.index(word)
    assert is_shortened_drug(text, at, at + len(word))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("沙利50岁", "沙利"),
        ("沙利3床", "沙利"),
        ("沙利138000", "沙利"),
        ("沙利38.6℃", "沙利"),
        ("沙利查房", "沙利"),
        ("高峰查房", "高峰"),
        ("高峰12", "高峰"),
    ],
)
def test_a_name_is_no_shortened_drug(text: str, word: str) -> None:
    assert not is_shortened_drug(text, 0, len(word))


def test_a_range_that_cuts_a_drug_is_no_name() -> None:
    assert cuts_word("外用凡士林厚涂", 4, 7)
    assert cuts_word("突变阳用达拉非尼", 2, 5)
    assert not cuts_word("护士林厚涂", 2, 5)
    assert not cuts_word("予林厚达拉非尼", 1, 3)
