"""Accounts: WeChat, QQ and the like, by label."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.types import Hit

_LINK = r"(?:号码?|账号|帐号|ID|id|联系|随访|群|为|是|[:#() ])*"
_WECHAT = compiled(
    rf"(?:微信|微博|抖音|支付宝|钉钉|快手|小红书|WeChat|Wechat|wechat|WECHAT|weixin|Weixin|VX|Vx|vx|WX|wx|V信){_LINK}([A-Za-z0-9][A-Za-z0-9_\-]{{4,29}})(?![A-Za-z0-9_\-])"
)
_QQ = compiled(rf"(?:QQ|qq|Qq|企鹅号){_LINK}([1-9][0-9]{{4,11}})(?![0-9])")
_WXID = compiled(r"wxid_[A-Za-z0-9_\-]{6,24}")


class SocialRule(Rule):
    """Accounts on social media."""

    name = "social"
    entities = ("SOCIAL_ID",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.95."""
        for pattern in (_WECHAT, _QQ):
            for match in pattern.finditer(text):
                yield Hit(match.start(1), match.end(1), "SOCIAL_ID", 0.95)
        if "wxid_" in text:
            for match in _WXID.finditer(text):
                yield Hit(match.start(), match.end(), "SOCIAL_ID", 0.95)
