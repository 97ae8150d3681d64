"""Addresses as English texts write them, and postal codes: all that is smaller than a state."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled, opens
from meddata_pipeline.privacy.detect.sweep import part
from meddata_pipeline.privacy.detect.types import Hit

_STATES = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]"
    r"|W[AIVY]|PR)"
)
_ZIP = r"[0-9]{5}(?:-[0-9]{4})?"
_WORD = r"[A-Z\u00c0-\u017d0-9][A-Za-z0-9\u00c0-\u017f'.\-]*"
_KIND = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|Parkway|Pkwy|Circle|Cir"
    r"|Highway|Hwy|Square|Sq|Close|Crescent|Gardens|Grove|Mews|Trail|Loop|Row|Hill|Walk|Alley|Turnpike|Plaza)"
)
_UNIT = r"(?:,?\s{1,3}(?:Apt|Apartment|Suite|Ste|Unit|Flat|Room|Floor|#)\.? ?[A-Za-z0-9\-]{1,6})"
_CITY = rf"(?:,?\s{{1,3}}[A-Z][A-Za-z.'\-]+(?: [A-Z][A-Za-z]+){{0,2}},?\s{{1,2}}{_STATES}(?:,?\s{{1,2}}{_ZIP})?)"
_STREET = compiled(
    r"[0-9](?<![0-9.].)[0-9]{0,5}(?:[A-Za-z]|-[0-9]+)? (?:[NSEW]{1,2}\.? |North |South |East |West )?"
    rf"(?:{_WORD} ){{1,4}}{_KIND}(?![A-Za-z])\.?{_UNIT}?{_CITY}?",
    holds=rf" {_KIND}(?![A-Za-z])",
)
#: A street whose kind has no English word: a number, words, and a number before a flat, a comma or the line's end.
_FOREIGN = compiled(
    rf"[0-9](?<![0-9./\-].)[0-9]{{2,5}} (?:[A-Z\u00c0-\u017d][a-z\u00df-\u017f'.\-]{{2,}} ){{1,3}}[0-9]{{1,4}}"
    rf"(?:{_UNIT}{_CITY}?|(?=[ ]*(?:,|\n|$|Apt|Suite)))"
)
_BOX = compiled(r"(?:P\.? ?O\.? ?Box|PO BOX|PSC|Unit|UNIT)(?: [0-9]{1,6})(?:,? Box [0-9]{1,6})?" + _CITY + "?")
_TOWN = compiled(
    rf"[A-Z](?<![A-Za-z].)[a-z]+(?: [A-Z][a-z]+){{0,2}}, (?:{_STATES},? {_ZIP}|(?!MD|PA|MA|DO){_STATES})(?![A-Za-z0-9])"
)
_STATE_ZIP = compiled(rf"{_STATES} ({_ZIP})(?![0-9\-])")
_ZIP_LABEL = compiled(
    rf"(?:[Zz][Ii][Pp](?: ?[Cc]ode)?|[Pp]ost(?:al)? ?[Cc]ode)(?: is)?[: ]{{0,3}}({_ZIP}|[A-Z0-9 \-]{{4,9}}[0-9A-Z])"
)
_POSTCODE = compiled(r"[A-Z](?<![A-Za-z0-9].)[A-Z]?[0-9][0-9A-Z]? [0-9][ABD-HJLNP-UW-Z]{2}(?![A-Za-z0-9])")
#: Streets of other countries by the end of their name, or by the word before it, with the house number behind.
_END_ABROAD = (
    r"(?:katu|kuja|tie|gata|gatan|gate|gade|vej|vegen|veien|vegur|braut"
    r"|straat|laan|strasse|straße|gasse|weg|platz|stræde|utca|tér|ulica|tänav|puiestee) [0-9]"
)
_WORD_ABROAD = r"(?:Via|Rua|Rue|Calle|Piazza|Plaza|Paseo|Avenida|Av|Chemin|Quai|Ulica|ul\.) "
_ABROAD = compiled(
    rf"[A-Z\u00c0-\u017d](?<![A-Za-z].)(?:[\w'.\-]* )?[\w'.\-]*{_END_ABROAD}[0-9]{{0,3}}(?![0-9/.:%]|[a-z])"
    rf"|{_WORD_ABROAD}[\w'.\-]+(?: [\w'.\-]+){{0,3}} [0-9]{{1,5}}(?![0-9])",
    holds=f"{_END_ABROAD}|{_WORD_ABROAD}",
)
#: The line below a flat's number, and a town with a region's short name and a code.
_LINE = compiled(
    r"(?:Apt|Apartment|Suite|Ste|Unit|Flat)\.? (?=[A-Za-z]?[0-9])[A-Za-z0-9\-]{1,6}[ ,]*(?:\n[ >?]*|, )"
    r"([A-Z\u00c0-\u017d][^\n,0-9:]{1,39}?)(?=[ ]*(?:\n|,|$))"
)
_CODE = r", (?:[A-Z]{2,3}|nan|[0-9]{1,2})\s{1,3}[0-9]{4,6}(?![0-9])"
_TOWN_CODE = compiled(r"[A-Z\u00c0-\u017d](?<![A-Za-z].)[\w'.\-]+(?: [\w'.\-()]+){0,3}\n?" + _CODE, holds=_CODE)
_BLANK = re.compile("[A-Za-z][,.]? [A-Za-z0-9]")
_DOSES = re.compile(r"(?:mg|mcg|ml|mL|units?|MG|ML|Grade|Stage|Type|Class|Tooth|Teeth|Level|No)(?![A-Za-z])")


class EnglishAddressRule(Rule):
    """Addresses, towns with their state, and postal codes."""

    name = "address-english"
    entities = ("LOCATION",)
    needs = "letters"
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.75 for streets, 0.7 for towns and codes, 0.6 for shapes alone."""
        for hit in self._hits(text):
            # Words, not codes: asked of the text only where something was found.
            if _BLANK.search(text, *part(text, hit.start)):
                yield hit

    @staticmethod
    def _hits(text: str) -> Iterator[Hit]:
        for pattern, score in ((_STREET, 0.75), (_BOX, 0.7), (_TOWN, 0.7), (_ABROAD, 0.7), (_TOWN_CODE, 0.7)):
            for match in pattern.finditer(text):
                if opens(text, match.start()):
                    yield Hit(match.start(), match.end(), "LOCATION", score)
        for match in _FOREIGN.finditer(text):
            if not _DOSES.search(match.group()):
                yield Hit(match.start(), match.end(), "LOCATION", 0.6)
        for match in _LINE.finditer(text):
            yield Hit(match.start(1), match.end(1), "LOCATION", 0.65)
        for pattern in (_STATE_ZIP, _ZIP_LABEL):
            for match in pattern.finditer(text):
                if any(c.isdigit() for c in match.group(1)):
                    yield Hit(match.start(1), match.end(1), "LOCATION", 0.7)
        for match in _POSTCODE.finditer(text):
            yield Hit(match.start(), match.end(), "LOCATION", 0.7)
