"""Folding: one spelling for what is written in full width, in traditional characters, with odd dashes or blanks.

What belongs here: mappings of characters and the way back to the original offsets. What does not: what is looked for.

Almost every mapping is one character to one, so offsets stay; only invisible characters are dropped, and then a map
leads back. Line breaks and blanks inside a value are dropped in a second view (``loosen``), which only texts of a
suspicious shape have.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad]")


#: Traditional characters that GB 2312 has too, because they are written beside their simplified forms.
_BESIDE = {"於": "于", "後": "后", "徵": "征", "甯": "宁", "麽": "么", "夥": "伙"}


def _simplified() -> dict[int, str]:
    """Traditional characters and their simplified forms, one to one, from OpenCC's table.

    Characters of GB 2312 stay: they are what simplified texts are written in (乾, 覆), and the rules know them.
    """
    source = resources.files("opencc").joinpath("dictionary/TSCharacters.txt").read_text(encoding="utf-8")
    table = {ord(traditional): simplified for traditional, simplified in _BESIDE.items()}
    for line in source.splitlines():
        traditional, _, forms = line.partition("\t")
        simplified = forms.split(" ")[0]
        if len(traditional) == len(simplified) == 1 and _is_common(simplified) and not _is_common(traditional):
            table[ord(traditional)] = simplified
    return table


def _is_common(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


_SIMPLIFIED = _simplified()


def simplify(text: str) -> str:
    """A text with simplified characters, of the same length."""
    return text.translate(_SIMPLIFIED)


#: Radicals that PDF files hold for characters and that Unicode gives no decomposition.
_RADICALS = str.maketrans(
    "⺌⺓⺠⻅⻉⻋⻓⻔⻙⻚⻛⻜⻝⻢⻣⻥⻦⻨⻩⻬⻮⻰", "小幺民见刂车长门韦页风飞食马骨鱼鸟麦黄齐齿龙"
)


def _compatible() -> dict[int, str]:
    """Radicals and compatibility forms that look like an ideograph, and mathematical digits."""
    codes = [*range(0x2E80, 0x2FD6), *range(0xF900, 0xFB00), *range(0x1D7CE, 0x1D800)]
    table = {code: chr(form) for code, form in _RADICALS.items()}
    for code in codes:
        form = unicodedata.normalize("NFKC", chr(code))
        if len(form) == 1 and form != chr(code):
            table[code] = _SIMPLIFIED.get(ord(form), form)
    return table


def _table() -> dict[int, str]:
    # The whole basic plane is in the table: translate() is several times slower on characters that it lacks.
    table = {code: chr(code) for code in range(0x10000)}
    table.update(_SIMPLIFIED)
    table.update(_compatible())
    table.update({code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)})
    table.update(dict.fromkeys([0x3000, 0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F], " "))
    table.update(dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0x2500, 0x30FC], "-"))
    table.update(dict.fromkeys([0x2022, 0x2027, 0x30FB, 0x2219, 0x22C5, 0x387, 0xFF65], "\u00b7"))
    table.update(
        {0xFE13: ":", 0x2236: ":", 0xFE55: ":", 0xFE50: ",", 0xFE59: "(", 0xFE5A: ")", 0x3014: "[", 0x3015: "]"}
    )
    table.update({0x3010: "[", 0x3011: "]"})
    return table


_TABLE = _table()


class Folded(NamedTuple):
    """A folded text.

    Attributes:
        text: the text in which the rules look.
        offsets: for every character of ``text`` its place in the original, or None where the places are the same.
    """

    text: str
    offsets: list[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range in the original text for a non-empty range of the folded one."""
        if self.offsets is None:
            return start, end
        return self.offsets[start], self.offsets[end - 1] + 1


def fold(text: str) -> Folded:
    """Fold full-width forms, dashes, spaces and middle dots; drop invisible characters."""
    if text.isascii():
        return Folded(text, None)
    if _INVISIBLE.search(text) is None:
        return Folded(text.translate(_TABLE), None)
    offsets = [i for i, character in enumerate(text) if _INVISIBLE.match(character) is None]
    return Folded("".join(text[i] for i in offsets).translate(_TABLE), offsets)


@cache
def _arrays() -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The table as an array, and which characters need more than a look at it."""
    table = np.arange(0x10000, dtype=np.uint32)
    special = np.zeros(0x10001, np.bool_)
    for code, form in _TABLE.items():
        if code < len(table):
            table[code] = ord(form)
    special[0x10000] = True
    special[[code for code in range(0x10000) if _INVISIBLE.match(chr(code))]] = True
    return table, special


def fold_many(texts: Sequence[str]) -> list[Folded]:
    """``fold`` of many texts, in a fraction of the time."""
    table, special = _arrays()
    joined = "".join(texts)
    codes = np.minimum(np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32), 0x10000)
    odd = np.flatnonzero(special[codes])
    simple = table.take(codes, mode="clip").tobytes().decode("utf-32-le", "surrogatepass")
    folded: list[Folded] = []
    end = 0
    for text in texts:
        start, end = end, end + len(text)
        at = odd.searchsorted(start) if odd.size else 0
        plain = at == odd.size or odd[at] >= end
        folded.append(Folded(simple[start:end], None) if plain else fold(text))
    return folded


#: Dropped in the second view: a line break between digits (not where the next line begins with its own number), one
#: inside an address of e-mail, blanks between single characters (身 份 证 号, 1 3 8 1 2 3).
_BROKEN = re.compile(
    r"[ \t]*\r?\n[ \t]*(?=[0-9]{2,}(?![0-9.、):/年月日床岁]|-[0-9]{1,2}-)|[Xx](?![A-Za-z0-9])|@|\.[a-z])"
)
_SPREAD = re.compile(r" (?:[^\s] ){2,}(?=[^\s](?![^\s]))")
_CIRCLED = re.compile("[\u2460-\u2468\u24ea\u2776-\u277e]{5,}")
_WRAPPED = re.compile("(?<=[\u3400-\u9fff])\r?\n(?=[\u3400-\u9fff])")
_CIRCLES = {**{0x2460 + i: str(i + 1) for i in range(9)}, **{0x2776 + i: str(i + 1) for i in range(9)}, 0x24EA: "0"}


def loosen(text: str, *, wrapped: bool = False) -> Folded | None:
    """A second view of a folded text without line breaks and blanks that a scanner or a form put inside values.

    Args:
        text: the folded text.
        wrapped: whether line breaks between two ideographs go too (张⏎伟). In a form they part a name from the next
            label, so findings that reach over them need evidence of their own.

    Returns:
        The view, whose offsets lead into ``text``, or None where nothing is to drop: most texts cost three searches.
    """
    drop: list[tuple[int, int]] = []
    if "\n" in text:
        drop += [m.span() for m in _BROKEN.finditer(text) if m.start() and text[m.start() - 1].isascii()]
        if wrapped:
            drop += [m.span() for m in _WRAPPED.finditer(text)]
    circled = _CIRCLED.search(text) is not None
    for match in _SPREAD.finditer(text):
        # The first character stands before the match; where it ends a Latin word or a number, its blank stays.
        if not (match.start() > 1 and text[match.start() - 2].isascii() and text[match.start() - 2].isalnum()):
            drop.append((match.start(), match.start() + 1))
        drop += [(i, i + 1) for i in range(match.start() + 1, match.end()) if text[i] == " "]
    if not drop and not circled:
        return None
    gone = {i for start, end in drop for i in range(start, end)}
    offsets = [i for i in range(len(text)) if i not in gone]
    view = "".join(text[i] for i in offsets)
    return Folded(_CIRCLED.sub(lambda m: m.group().translate(_CIRCLES), view) if circled else view, offsets)


_LOOSE = re.compile(r"[\s\-\u00b7^_]+")


class Compact:
    """A folded text without white space, dashes and middle dots, in lower case: known values are looked for in it.

    The way back is worked out when something is found: in most texts nothing is.

    Args:
        folded: the folded text.
    """

    __slots__ = ("_kept", "_places", "text")

    def __init__(self, folded: str) -> None:
        codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32)
        self._kept = _kept().take(codes, mode="clip")
        self._places: list[int] | None = None
        compact = codes[self._kept]
        same = len(compact) == len(codes)
        self.text = _lower(folded if same else compact.tobytes().decode("utf-32-le", "surrogatepass"))

    def folded(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range in the folded text for a non-empty range of the compact one."""
        if len(self.text) == len(self._kept):
            return start, end
        if self._places is None:
            self._places = np.flatnonzero(self._kept).tolist()
        return self._places[start], self._places[end - 1] + 1


@cache
def _kept() -> NDArray[np.bool_]:
    """Which characters stay in compact texts, the last for all outside the basic plane."""
    kept = [_LOOSE.match(chr(code)) is None for code in range(0x10000)]
    return np.array([*kept, True])


def _lower(text: str) -> str:
    lowered = text.lower()
    # Some capitals (İ) become two characters in lower case; offsets would slip.
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


@lru_cache(maxsize=100_000)
def compact_value(value: str) -> str:
    """A known value in the form in which it is looked for in a compact text."""
    if value.isascii() and value.isalnum():
        return value.lower()
    return _lower(_LOOSE.sub("", fold(value.strip()).text))
