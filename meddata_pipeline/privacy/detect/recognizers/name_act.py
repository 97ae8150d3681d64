"""Names by what only people do: 柯佑发言, 危来喜之女, 曾倩:我也不同意."""

from __future__ import annotations

from collections.abc import Iterator

from meddata_pipeline.privacy.detect.models.lexicon import within_clinical
from meddata_pipeline.privacy.detect.names import grammar, is_han
from meddata_pipeline.privacy.detect.recognizers.base import Rule, compiled
from meddata_pipeline.privacy.detect.recognizers.name_shape import is_clinical_word
from meddata_pipeline.privacy.detect.types import Hit

_ACT = compiled(
    r"(?:之[子女妻夫母父]|发言|总结|持不同|认为|提出|指出|补充|反映|坚持说|代诉|代答|举手|随后赶到|称没有|说[:「“\"]"
    r"|: ?(?:我|你|他|她|咱|好的|收到|知道|明白|行[,。]|同意|不同意))"
)
_LONGEST = 4


class NameActRule(Rule):
    """Names that fill a clause up to what only people do."""

    name = "name-by-act"
    entities = ("PERSON",)
    across = True

    def find(self, text: str) -> Iterator[Hit]:
        """Hits of 0.8."""
        names = grammar()
        for match in _ACT.finditer(text):
            end = start = match.start()
            while start and end - start <= _LONGEST and is_han(text[start - 1]):
                start -= 1
            if text[start] in "父母" and end - start > 2 and names.surname_length(text, start + 1):
                start += 1
            surname = names.surname_length(text, start)
            given = text[start + surname : end]
            if (
                surname
                and 1 <= len(given) <= 2
                and not any(c in names.not_given for c in given)
                and given not in names.titles
                and text[start : start + 2] not in names.not_names
                and text[start:end] not in names.kin_words
                and not is_clinical_word(text, start, end)
                and not within_clinical(text, start, end)
            ):
                yield Hit(start, end, "PERSON", 0.8)
