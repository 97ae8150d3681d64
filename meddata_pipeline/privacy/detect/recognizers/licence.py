"""Numbers of certificates and licences: driving, professional, birth, passport and immigration papers, staff."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, coded, labelled, opens
from meddata_pipeline.privacy.detect.types import Hit

_LABEL = labelled(
    r"[Dd]river(?:['’]?s)? [Ll]icen[cs]e|[Dd]riving [Ll]icen[cs]e|DL|[Ll]icen[cs]e|[Cc]ertificate|[Cc]ertification|"
    r"NPI|DEA|"
    r"[Pp]assport|[Vv]isa|[Gg]reen [Cc]ard|[Aa]lien [Rr]egistration|[Nn]ational [Ii]nsurance|NINO|"
    r"[Ee]mployee|[Bb]adge|[Ss]tudent|[Rr]egistration|GMC|NMC|[Tt]ax(?:payer)?|EIN|ITIN|"
    r"[Ff]ingerprint|[Bb]iometric|[Vv]oice ?print|[Rr]etina(?:l)? [Ss]can|[Ii]ris [Ss]can|[Ff]ace ?print"
)


class LicenceRule(Rule):
    """Certificate and licence numbers, and the codes of biometric templates."""

    name = "licence"
    entities = ("OTHER_ID",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.85 by label."""
        for match in _LABEL.finditer(text):
            value = match.group(1)
            # Of a value in several parts only those count that hold a digit: "license D123 4567 expired".
            while " " in value and not any(c.isdigit() for c in value.rsplit(" ", 1)[1]):
                value = value.rsplit(" ", 1)[0]
            numbered = any(c.isdigit() for c in value.split()[0])
            if coded(value) and numbered and opens(text, match.start()):
                yield Hit(match.start(1), match.start(1) + len(value), "OTHER_ID", 0.85)
