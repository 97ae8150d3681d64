"""Accounts: WeChat, QQ, Alipay, Weibo and the like, by label."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_LINK = r"(?:号码?|账号|帐号|昵称|ID|id|联系|随访|好友|群|为|是|,|[:#() \n])*"
_ACCOUNT = r"([A-Za-z0-9][A-Za-z0-9_\-]{4,29})(?![A-Za-z0-9_\-])"
_WECHAT = compiled(
    r"(?:微信|薇信|威信|微博|抖音|支付宝|钉钉|快手|小红书|WeChat|Wechat|wechat|WECHAT|weixin|Weixin"
    rf"|VX|Vx|vx|WX|wx|V信|v信){_LINK}{_ACCOUNT}"
)
_QQ = compiled(rf"(?:QQ|qq|Qq|企鹅号|扣扣){_LINK}([1-9][0-9]{{4,11}})(?![0-9])")
_WXID = compiled(r"wxid_[A-Za-z0-9_\-]{6,24}")
_HANDLE = compiled(r"微博(?:名|号|昵称|账号)?[: ]{0,2}(@[\u3400-\u9fffA-Za-z0-9_\-]{2,20})")


class SocialRule(Rule):
    """Accounts on social media."""

    name = "social"
    entities = ("SOCIAL_ID",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95."""
        for pattern in (_WECHAT, _QQ):
            for match in pattern.finditer(text):
                # WX 与 QQ 同号: a word in Latin letters that announces the next label is no account.
                if match.group(1).lower() not in {"wechat", "weixin"}:
                    yield Hit(match.start(1), match.end(1), "SOCIAL_ID", 0.95)
        if "wxid_" in text:
            for match in _WXID.finditer(text):
                yield Hit(match.start(), match.end(), "SOCIAL_ID", 0.95)
        if "微博" in text:
            for match in _HANDLE.finditer(text):
                yield Hit(match.start(1), match.end(1), "SOCIAL_ID", 0.9)
