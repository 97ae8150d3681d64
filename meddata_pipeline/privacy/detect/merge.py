"""From overlapping findings to spans that do not overlap, by priority and evidence, not by length.

What belongs here: the order among findings. What does not: the figures; priorities and thresholds stand in
entities.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.names import grammar
from meddata_pipeline.privacy.detect.types import ENTITIES, Span
from meddata_pipeline.privacy.detect.words import word_set, words

#: Below this a name's end was not plain; the recognizers of names give 0.7 to 0.75 then.
IN_DOUBT = 0.8
#: The source of names on which the taggers agree (models/chinese.py).
AGREED = "names-zh"

#: From here on a body's name holds a known place.
NAMED_BODY = 0.75
#: Who somebody is, before a name: 母王远.
_KIN = frozenset("父母夫妻兄弟姐妹子女儿孙")
#: From here on a name was known or stands in the roster.
SURE = 0.95


@dataclass(frozen=True)
class MergeRules:
    """Priorities and thresholds.

    Attributes:
        priority: by entity; the higher one wins.
        threshold: by entity; the least score that counts.
        review: by entity; the least score of a finding that does not count and that people must look at.
        known_priority: of what was known beforehand.
        repeat_score: of a repetition of something found elsewhere in the same text.
    """

    priority: dict[str, int]
    threshold: dict[str, float]
    review: dict[str, float]
    known_priority: int
    repeat_score: float

    def of(self, span: Span) -> int:
        """The priority of a span."""
        if span.source.startswith(("known/", "roster")):
            return self.known_priority
        return self.priority[span.entity]


@cache
def default_rules() -> MergeRules:
    """The rules of the shipped entities.yaml."""
    source = resources.files("meddata_pipeline.privacy.detect").joinpath("entities.yaml").read_text(encoding="utf-8")
    return parse_rules(yaml.safe_load(source))


def parse_rules(raw: dict[str, Any]) -> MergeRules:
    """Read the mapping of entities.yaml.

    Raises:
        ConfigError: an entity is missing or unknown, or a figure is out of range.
    """
    entities = raw.get("entities")
    if not isinstance(entities, dict) or set(entities) != set(ENTITIES):
        raise ConfigError("entities.yaml does not name exactly the known entities", where="entities")
    for name, entry in entities.items():
        if not isinstance(entry.get("priority"), int) or not 0 <= float(entry.get("threshold", -1)) <= 1:
            raise ConfigError("entities.yaml has a wrong priority or threshold", where=name)
        if not 0 < float(entry.get("review", -1)) <= float(entry["threshold"]):
            raise ConfigError("entities.yaml has a review level that is missing or above the threshold", where=name)
    return MergeRules(
        priority={name: entry["priority"] for name, entry in entities.items()},
        threshold={name: float(entry["threshold"]) for name, entry in entities.items()},
        review={name: float(entry["review"]) for name, entry in entities.items()},
        known_priority=int(raw["known_priority"]),
        repeat_score=float(raw["repeat_score"]),
    )


def merge(text: str, found: Iterable[Span], rules: MergeRules) -> list[Span]:
    """Spans in the order of the text, without overlaps.

    Findings of one entity that overlap become one, from the first start to the last end, unless one of them was known
    beforehand. Of different entities the higher priority keeps its place; of the other what is not covered stays
    masked.

    Args:
        text: the text of the offsets.
        found: findings in any order.
        rules: priorities and thresholds.

    Returns:
        The spans, sorted by start.
    """
    strong = [
        _untitled(text, span)
        for span in found
        if span.score >= rules.threshold[span.entity]
        and not (span.source == AGREED and text[span.start : span.end] in grammar().kin_words)
    ]
    if len(strong) < 2:
        return strong
    bodies = [s for s in strong if s.entity == "ORGANIZATION" and s.score >= NAMED_BODY]
    if bodies:
        strong = [s for s in strong if not _part_of_body(s, bodies)]
    strong.sort(key=lambda s: (-rules.of(s), -s.score, s.start - s.end, s.start, s.source))
    taken: list[Span] = []
    for span in strong:
        _place(text, span, taken)
    taken.sort()
    return _join(text, taken)


def _untitled(text: str, span: Span) -> Span:
    """A name on which the taggers agree without the title or the verb that they took into it (黎叔, 刘大夫, 刘波发)."""
    if span.entity != "PERSON" or span.source != AGREED or text[span.end - 1] not in _last_of_titles():
        return span
    end = span.end - len(title) if (title := _title_at_end(text[span.start : span.end])) else span.end
    return span._replace(end=end)


@cache
def _last_of_titles() -> frozenset[str]:
    return frozenset(word[-1] for word in (*words("titles"), *words("kin_titles")))


def _title_at_end(name: str) -> str:
    """The title at the end of what is taken for a name, where a surname or a whole name stands before it."""
    for title in (*words("titles"), *words("kin_titles")):
        rest = len(name) - len(title)
        if name.endswith(title) and rest > 0 and grammar().surname_length(name, 0) <= rest:
            return title
    return ""


def in_doubt(text: str, found: Iterable[Span], strong: Sequence[Span], rules: MergeRules) -> list[Span]:
    """Findings that are too weak to count and too strong to be passed over, without overlaps.

    Args:
        text: the text of the offsets.
        found: findings in any order.
        strong: what ``merge`` made of them. A weak finding that touches one of these says nothing new.
        rules: priorities, thresholds and review levels.

    Returns:
        The spans, sorted by start.
    """
    weak = [
        span
        for span in found
        if rules.review[span.entity] <= span.score < rules.threshold[span.entity]
        and not any(span.start < other.end and other.start < span.end for other in strong)
    ]
    weak.sort(key=lambda s: (-rules.of(s), -s.score, s.start - s.end, s.start, s.source))
    taken: list[Span] = []
    for span in weak:
        _place(text, span, taken)
    return sorted(taken)


def _part_of_body(span: Span, bodies: list[Span]) -> bool:
    """Whether a span is a part of a body's name, and masked with it.

    西安交通大学 holds what looks like a name; 佛山市口腔医院 holds the patient's own city.
    """
    if span.entity == "PERSON" and span.score < SURE:
        return any(body.start < span.start and span.end < body.end for body in bodies)
    if span.entity == "LOCATION":
        return any(body.start <= span.start and span.end < body.end for body in bodies)
    return False


def _place(text: str, span: Span, taken: list[Span]) -> None:
    """Add to ``taken`` what of the span is not covered yet."""
    pieces = [(span.start, span.end)]
    for other in taken:
        if other.start < span.end and span.start < other.end:
            if _doubtful(span, other) or _goes_on(text, span, other):
                return
            remaining: list[tuple[int, int]] = []
            for start, end in pieces:
                if other.end <= start or end <= other.start:
                    remaining.append((start, end))
                    continue
                if start < other.start:
                    remaining.append((start, other.start))
                if other.end < end:
                    remaining.append((other.end, end))
            pieces = remaining
            if not pieces:
                return
    if pieces == [(span.start, span.end)]:
        taken.append(span)
        return
    if span.entity == "PERSON":
        # 日阿孜古丽·司马义, 孙南宫琪: one character before a whole name that is known is no part of it.
        whole = {o.start for o in taken if o.source.startswith(("known/", "roster")) and _is_whole(text, o)}
        ends = {o.start: o.end for o in taken}
        pieces = [
            (start, end)
            for start, end in pieces
            if end - start > 1
            or end not in whole
            or (text[start] not in _KIN and _is_whole(text, span._replace(start=start, end=ends[end])))
        ]
    before = {other.end for other in taken if other.entity == span.entity}
    behind = {other.start for other in taken if other.entity == span.entity}
    for start, end in pieces:
        # Punctuation that is left over between two findings identifies nobody, unless it belongs to one of them (+86).
        if start not in before and end not in behind:
            while start < end and not text[start].isalnum():
                start += 1
            while start < end and not text[end - 1].isalnum():
                end -= 1
        # QQ12345678: what is left of a code when its number is something else is the label.
        rest = text[start:end]
        unnumbered = span.entity == "OTHER_ID" and rest.isascii() and rest.isalpha()
        if start < end and not unnumbered:
            taken.append(span._replace(start=start, end=end))


def _doubtful(span: Span, other: Span) -> bool:
    """Whether a name's last character was taken in doubt, and what is known shows that the name ends before it.

    Where the taggers agree on a name, what a weaker rule takes beyond it is no part of it either.
    """
    if other.source == AGREED and other.entity == span.entity == "PERSON":
        return span.score < other.score and span.source.startswith("name-")
    if (
        span.entity == other.entity == "PERSON"
        and span.start == other.start
        and other.end - other.start != 2
        and other.source.startswith(("known/", "roster"))
        and not span.source.startswith(("known/", "roster"))
    ):
        # A whole name that is known, or a known surname before a title: what a rule takes beyond it is no part of it.
        return True
    return (
        span.entity == other.entity == "PERSON"
        and span.start == other.start
        and span.end == other.end + 1
        and span.score < IN_DOUBT
        and other.score > span.score
    )


def _goes_on(text: str, span: Span, other: Span) -> bool:
    """Whether a word that only goes with people begins where a known name ends: what is beyond is of that word."""
    return (
        span.entity == other.entity == "PERSON"
        and span.start == other.start
        and span.end > other.end
        and other.source.startswith(("known/", "roster"))
        and (text[other.end : other.end + 2] in word_set("acts") or text[other.end : other.end + 2] in grammar().follow)
    )


def _is_whole(text: str, span: Span) -> bool:
    """Whether a span is a surname with a given name, or a name with a dot."""
    surname = grammar().surname_length(text, span.start)
    length = span.end - span.start
    return bool(surname and 1 <= length - surname <= 2) or "\u00b7" in text[span.start + 1 : span.end - 1]


def _join(text: str, spans: list[Span]) -> list[Span]:
    """Put touching pieces of one entity together where one of them is the rest of the other."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        # Two names that the taggers tell apart, or that are whole, are two: 李蕾张羽飞.
        agreed = last is not None and last.source == span.source == AGREED
        apart = last is not None and (agreed or (_is_whole(text, last) and _is_whole(text, span)))
        if last is not None and last.end == span.start and last.entity == span.entity and not apart:
            keep = last if last.score >= span.score else span
            source = last.source if last.source.startswith(("known/", "roster")) else keep.source
            joined[-1] = Span(last.start, span.end, last.entity, keep.score, source)
        else:
            joined.append(span)
    return joined
