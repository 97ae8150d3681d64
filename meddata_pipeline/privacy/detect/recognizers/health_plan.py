"""Numbers of health plans and public schemes: member, group, Medicare, Medicaid, NHS."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, coded, compiled, labelled, opens
from meddata_pipeline.privacy.detect.types import Hit

_CODE = r"[A-Za-z0-9](?:[\-]?[A-Za-z0-9]){4,19}"
_LABEL = labelled(
    r"[Hh]ealth [Pp]lan(?: [Bb]eneficiary)?|[Bb]eneficiary|[Mm]ember(?:ship)?|[Ss]ubscriber|[Pp]olicy|[Gg]roup|"
    r"[Ii]nsurance(?: [Pp]olicy| [Mm]ember)?|MBI|HICN|[Mm]edicare|[Mm]edicaid|Aetna|Cigna|Humana|BCBS|[Cc]laim",
    _CODE,
)
_NHS_LABEL = labelled(r"NHS|CHI", r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{4}")
#: A Medicare beneficiary identifier: no S, L, O, I, B, Z.
_L = "[AC-HJKMNP-RT-Y]"
_LN = "[AC-HJKMNP-RT-Y0-9]"
_MBI = compiled(rf"[1-9](?<![A-Za-z0-9].){_L}{_LN}[0-9]-?{_L}{_LN}[0-9]-?{_L}{{2}}[0-9]{{2}}(?![A-Za-z0-9])")


class HealthPlanRule(Rule):
    """Health plan beneficiary numbers."""

    name = "health-plan"
    entities = ("MEDICAL_ID",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 by label, 0.9 by shape."""
        for match in _LABEL.finditer(text):
            if coded(match.group(1)) and opens(text, match.start()):
                yield Hit(match.start(1), match.end(1), "MEDICAL_ID", 0.85)
        for match in _NHS_LABEL.finditer(text):
            yield Hit(match.start(1), match.end(1), "MEDICAL_ID", 0.9)
        for match in _MBI.finditer(text):
            yield Hit(match.start(), match.end(), "MEDICAL_ID", 0.9)
