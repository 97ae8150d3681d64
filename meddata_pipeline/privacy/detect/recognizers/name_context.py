"""Names that their neighbours give away: 张伟，男，45岁; 李梅 13812345678; 张伟，身份证…."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

#: What may stand behind a name: sex, age, phone, identity card.
_BEHIND = compiled(
    r"[,、;:(\[/ ]{1,3}(?:[男女](?:性|[,、;:)\] /。0-9])|性别|[0-9]{1,3} ?(?:周?岁|月龄)"
    r"|(?:联系|家庭)?(?:电话|手机|方式)|身份证|1[3-9][0-9]{9}|1[3-9][0-9]-|Tel|TEL|出生|病案|病历|住院号|门诊号"
    r"|(?:患者|其)?(?:父|母|妻|夫|子|女|儿|兄|弟|姐|妹|配偶|丈夫|家属|陪护|侄|孙|婿|媳|外甥|监护)[\u3400-\u9fff]{0,2}[)、,]|[\u3400-\u9fff]{1,7}[科院](?:专家|医师|医生)?\)|外院|邻居|房东|老板|同事|同学|朋友|老乡|工友|病友|民警|律师|护工|司机|保安|亲家|表[兄弟姐妹哥叔]|堂[兄弟姐妹哥叔]|职业|工作单位|民族|汉族|已婚|未婚|离异|家住|现住|住址|籍贯)"
)
_TOUCHING = compiled(r"(?:联系电话|联系手机|电话|手机|1[3-9][0-9](?:[ \-]?[0-9]{4}){2}|\+86)")


class NameContextRule(Rule):
    """Names by what stands behind them."""

    name = "name-by-context"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85."""
        for pattern in (_BEHIND, _TOUCHING):
            for match in pattern.finditer(text):
                end = match.start()
                for length in (4, 3, 2):
                    start = end - length
                    if start < 0 or not self._is_name(text, start, end):
                        continue
                    yield Hit(start, end, "PERSON", 0.85)
                    break

    @staticmethod
    def _is_name(text: str, start: int, end: int) -> bool:
        names = grammar()
        surname = names.surname_length(text, start)
        if surname == 0 or not 1 <= end - start - surname <= 2 or text[start : start + 2] in names.not_names:
            return False
        if text[start:end] in names.kin_words:
            return False
        if surname == 1 and text[start] in names.weak and start and is_han(text[start - 1]):
            return False
        given = text[start + surname : end]
        if any(not is_han(c) or c in names.not_given for c in given):
            return False
        # A name stands at the start of a clause or behind a word that is no part of it; a run of many ideographs that
        # merely ends like a name (左侧后牙冷刺激) is none.
        before = text[max(0, start - 2) : start]
        return (
            not before
            or not is_han(before[-1])
            or before[-1] in names.not_given
            or before in {"患者", "病人", "家属", "姓名", "亲属", "老人"}
            or before in _KIN
        )


_KIN = frozenset(
    [
        "丈夫",
        "妻子",
        "儿子",
        "女儿",
        "父亲",
        "母亲",
        "系人",
        "其子",
        "其女",
        "其妻",
        "其夫",
        "其父",
        "其母",
        "爱人",
        "配偶",
        "哥哥",
        "姐姐",
        "弟弟",
        "妹妹",
        "朋友",
        "同事",
        "护人",
        "同人",
        "孙子",
        "孙女",
    ]
)
