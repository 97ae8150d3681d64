"""Web addresses and network addresses. No list of domains is fetched: the ends of names are listed here."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, bounded, compiled
from meddata_pipeline.privacy.detect.types import Hit

_PATH = r"(?::[0-9]{2,5})?(?:/[A-Za-z0-9\-._~%!$&'()*+,;=:@/?#]*)?"
_SCHEME = compiled(r"(?:https?|ftp|HTTPS?|Https?)://[A-Za-z0-9\-._~%:@\[\]]+" + _PATH)
_ENDS = (
    r"com\.cn|net\.cn|org\.cn|gov\.cn|edu\.cn|com|net|org|edu|gov|cn|io|info|biz|co\.uk|uk|de|fr|top|xyz|vip|me|tv|app"
)
_BARE = compiled(
    r"[A-Za-z0-9](?<![A-Za-z0-9@._\-].)[A-Za-z0-9\-]*(?:\.[A-Za-z0-9\-]+)*"
    rf"\.(?:{_ENDS})(?![A-Za-z0-9\-])" + _PATH,
    holds=rf"\.(?:{_ENDS})(?![A-Za-z0-9\-])",
)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = compiled(rf"[0-9](?<![0-9.].)(?:(?<=25)[0-5]|[0-9]{{0,2}})\.{_OCTET}\.{_OCTET}\.{_OCTET}(?![0-9]|\.[0-9])")
_V6 = compiled(
    r"[0-9A-Fa-f](?<![0-9A-Za-z:].)[0-9A-Fa-f]{0,3}:(?:[0-9A-Fa-f]{0,4}:){2,6}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])"
)
_MAC = compiled(r"[0-9A-Fa-f](?<![0-9A-Za-z:\-].)[0-9A-Fa-f](?:[:\-][0-9A-Fa-f]{2}){5}(?![0-9A-Za-z:\-])")


class UrlRule(Rule):
    """Web addresses with and without a scheme."""

    name = "url"
    entities = ("URL",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 1.0 with a scheme, 0.8 without."""
        if "://" in text:
            for match in _SCHEME.finditer(text):
                yield Hit(match.start(), match.start() + len(match.group().rstrip(".,;)")), "URL", 1.0)
        if "." in text:
            for match in _BARE.finditer(text):
                yield Hit(match.start(), match.start() + len(match.group().rstrip(".,;)")), "URL", 0.8)


class IpRule(Rule):
    """IPv4, IPv6 and hardware addresses."""

    name = "ip"
    entities = ("IP_ADDRESS", "OTHER_ID")
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.8 to 0.95."""
        if text.count(".") >= 3:
            for match in _V4.finditer(text):
                if bounded(text, match.start(), match.end()) and int(match.group().split(".")[0]) <= 255:
                    yield Hit(match.start(), match.end(), "IP_ADDRESS", 0.95)
        colons = text.count(":")
        if colons >= 2:
            for match in _V6.finditer(text):
                # 08:30:15 is a time: an address has a letter or at least four groups.
                groups = match.group().split(":")
                if _MAC.plain.fullmatch(match.group()):
                    continue
                if len(groups) >= 5 or ("::" in match.group() and any(c.isalpha() for c in match.group())):
                    yield Hit(match.start(), match.end(), "IP_ADDRESS", 0.8)
        if colons + text.count("-") >= 5:
            for match in _MAC.finditer(text):
                yield Hit(match.start(), match.end(), "OTHER_ID", 0.85)
