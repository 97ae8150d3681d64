"""What detection takes and gives: what is known of a patient, and spans.

What belongs here: plain data. What does not: matching, merging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

#: The words for entities, as they stand in docs/commands.md and in truth files.
ENTITIES = (
    "PERSON",
    "LOCATION",
    "ORGANIZATION",
    "DATE_TIME",
    "AGE",
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "URL",
    "IP_ADDRESS",
    "CREDIT_CARD",
    "US_SSN",
    "CN_RESIDENT_ID",
    "CN_PASSPORT",
    "CN_HKM_PERMIT",
    "CN_TW_PERMIT",
    "CN_OFFICER_CARD",
    "CN_INSURANCE",
    "CN_PLATE",
    "MEDICAL_ID",
    "SOCIAL_ID",
    "OTHER_ID",
)


class Span(NamedTuple):
    """A found identifier: half-open offsets in Unicode code points of the text as it was given.

    Attributes:
        start: first code point.
        end: one behind the last code point.
        entity: one of ENTITIES.
        score: 0 to 1.
        source: the recognizer that found it; ``known/…`` and ``roster`` for what was known beforehand.
    """

    start: int
    end: int
    entity: str
    score: float
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The span as plain JSON, as ``meddata detect`` prints it."""
        return {
            "start": self.start,
            "end": self.end,
            "entity": self.entity,
            "score": round(self.score, 3),
            "source": self.source,
        }


class Hit(NamedTuple):
    """What a rule finds in a folded text."""

    start: int
    end: int
    entity: str
    score: float


@dataclass(frozen=True)
class Known:
    """What is known of the person a text is about, from the hospital's own tables.

    Attributes:
        names: the patient's name, the current one first, and earlier ones.
        resident_ids: resident identity numbers.
        mobiles: mobile and landline numbers.
        record_nos: record, visit and examination numbers.
        addresses: addresses.
        contacts: names and numbers of contact persons; either may be empty.
        other: anything else that identifies (e-mail, insurance number).
    """

    names: tuple[str, ...] = ()
    resident_ids: tuple[str, ...] = ()
    mobiles: tuple[str, ...] = ()
    record_nos: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    contacts: tuple[tuple[str, str], ...] = ()
    other: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Known:
        """Read the ``known`` object of the commands ``detect`` and ``redact``.

        Args:
            value: name, resident_id, mobile, record_no, address, contacts, other; each may be missing, and where one
                text is expected a list is taken too.

        Raises:
            ValueError: a key has another form.
        """
        contacts: list[tuple[str, str]] = []
        given = value.get("contacts") or ()
        if isinstance(given, (Mapping, str)):
            raise ValueError("known.contacts is not a list")
        for contact in given:
            if not isinstance(contact, Mapping):
                raise ValueError("known.contacts holds something that is not an object")
            names, mobiles = _texts(contact, "name"), _texts(contact, "mobile")
            for i in range(max(len(names), len(mobiles))):
                contacts.append((names[i] if i < len(names) else "", mobiles[i] if i < len(mobiles) else ""))
        return cls(
            names=_texts(value, "name"),
            resident_ids=_texts(value, "resident_id"),
            mobiles=_texts(value, "mobile"),
            record_nos=_texts(value, "record_no"),
            addresses=_texts(value, "address"),
            contacts=tuple(contacts),
            other=_texts(value, "other"),
        )


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The texts under a key, whether one or a list; numbers are read as texts."""
    found = value.get(key)
    if found is None:
        return ()
    items: Sequence[Any] = found if isinstance(found, list | tuple) else [found]
    for item in items:
        if item is not None and (isinstance(item, bool) or not isinstance(item, str | int)):
            raise ValueError(f"known.{key} holds something that is not a text")
    return tuple(str(item) for item in items if item is not None and str(item).strip())
