"""Who the invented persons are: names, resident ids, telephone numbers, addresses, record numbers.

What belongs here: identifying values for whole arrays of persons. What does not: the words they are made of
(``vocabulary/people.yaml``) and where they are written. Numbers are bijections of a person's global number, so each
identifier is unique without a memory of those already given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meddata_pipeline.samples.model import Bools, Dates, Ints, generator
from meddata_pipeline.samples.vocab import Words, vocabulary, words

_CHECK_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECK_CHARACTERS = np.array(list("10X98765432"), dtype=object)
_COUNTIES = 30
_SEQUENCES = 499
_SCATTER = 2_654_435_761

#: Staff have numbers of their own, far above those of patients.
STAFF_NUMBERS = 700_000_000
STAFF_PER_HOSPITAL = 48


@dataclass(frozen=True)
class People:
    """Identifying values as parallel arrays of texts; an empty text is a value that was never recorded."""

    name: Words
    resident_id: Words
    insurance_no: Words
    mobile: Words
    phone: Words
    email: Words
    address: Words
    contact_name: Words
    contact_relation: Words
    contact_mobile: Words
    ethnic_group: Words
    occupation: Words


def scattered(numbers: Ints, modulus: int, salt: int) -> Ints:
    """Distinct numbers below ``modulus`` for distinct numbers below it, without visible order.

    Args:
        numbers: non-negative numbers.
        modulus: not a multiple of 2,654,435,761 (a prime), so that the mapping is one to one.
        salt: shifts the result; use another one per purpose.
    """
    offset = (salt * 7_368_787) % modulus
    return ((numbers % modulus) * (_SCATTER % modulus) + offset) % modulus


def serials(prefix: str, width: int, numbers: Ints, salt: int) -> Words:
    """Serial numbers such as a hospital gives: a prefix and ``width`` digits."""
    return words([f"{prefix}{value:0{width}d}" for value in scattered(numbers, 10**width, salt).tolist()])


def resident_ids(numbers: Ints, birth: Dates, male: Bools, seed: int) -> Words:
    """Resident identity numbers of 18 characters with true birth date, sex and check character.

    Args:
        numbers: global numbers of the persons.
        birth: dates of birth.
        male: sex; the 17th digit is odd for men.
        seed: the user's seed.

    Source: GB 11643-1999, check character by ISO 7064 MOD 11-2.
    """
    prefixes = np.array([int(row[0]) for row in vocabulary("people")["regions"]])
    code = scattered(numbers, len(prefixes) * _COUNTIES * _SEQUENCES, seed + 11)
    region, rest = np.divmod(code, _COUNTIES * _SEQUENCES)
    county, sequence = np.divmod(rest, _SEQUENCES)
    sequence = 2 * sequence + np.where(male, 1, 2)
    month = birth.astype("datetime64[M]")
    year = month.astype("datetime64[Y]").astype(np.int64) + 1970
    day = (birth - month).astype(np.int64) + 1
    head = (prefixes[region] * 100 + county + 1) * 10**8
    stem = (head + year * 10**4 + (month.astype(np.int64) % 12 + 1) * 100 + day) * 1000 + sequence
    digits = (stem[:, None] // 10 ** np.arange(16, -1, -1)) % 10
    check = _CHECK_CHARACTERS[(digits * _CHECK_WEIGHTS).sum(axis=1) % 11]
    return words([f"{a}{b}" for a, b in zip(stem.tolist(), check, strict=True)])


def mobiles(numbers: Ints, seed: int) -> Words:
    """Mobile numbers of 11 digits, distinct for distinct numbers."""
    prefixes = np.array([int(p) for p in vocabulary("people")["mobile_prefixes"].split()])
    code = scattered(numbers, len(prefixes) * 10**8, seed + 23)
    prefix, rest = np.divmod(code, 10**8)
    return words([str(value) for value in (prefixes[prefix] * 10**8 + rest).tolist()])


def landlines(rng: np.random.Generator, size: int) -> Words:
    """Landline numbers with area code."""
    codes = words([f"{row[2]:0>3}" for row in vocabulary("people")["regions"]])
    local = rng.integers(20_000_000, 89_999_999, size)
    return words([f"{a}-{b}" for a, b in zip(codes[rng.integers(0, len(codes), size)], local.tolist(), strict=True)])


def names(rng: np.random.Generator, male: Bools) -> Words:
    """Full names: mostly one surname and one or two characters, some compound surnames, some with a middle dot."""
    people = vocabulary("people")
    size = len(male)
    surnames = words(people["surnames"].split())
    # Zipf-like: the first surnames of the list cover most people, as in the census.
    rank = np.minimum((len(surnames) ** rng.random(size)).astype(np.int64) - 1, len(surnames) - 1)
    surname = surnames[np.maximum(rank, 0)]
    compound = words(people["compound_surnames"].split())
    surname = np.where(rng.random(size) < 0.012, compound[rng.integers(0, len(compound), size)], surname)

    def given() -> Words:
        men, women = words(people["given_male"].split()), words(people["given_female"].split())
        return np.where(male, men[rng.integers(0, len(men), size)], women[rng.integers(0, len(women), size)])

    first, second = given(), given()
    full: Words = surname + first + np.where(rng.random(size) < 0.78, second, "")
    men, women = words(people["minority_male"].split()), words(people["minority_female"].split())
    minority = np.where(male, men[rng.integers(0, len(men), size)], women[rng.integers(0, len(women), size)])
    return np.where(rng.random(size) < 0.02, minority, full)


def addresses(rng: np.random.Generator, size: int) -> Words:
    """Postal addresses down to the room."""
    people = vocabulary("people")

    def some(values: list[str]) -> Words:
        return words(values)[rng.integers(0, len(values), size)]

    parts: list[Any] = [
        some([row[1] for row in people["regions"]]),
        some(people["districts"].split()),
        some(people["roads"].split()),
        rng.integers(1, 999, size).tolist(),
        some(["", "", *people["estates"].split()]),
        rng.integers(1, 40, size).tolist(),
        rng.integers(1, 6, size).tolist(),
        (rng.integers(1, 28, size) * 100 + rng.integers(1, 5, size)).tolist(),
    ]
    return words([f"{c}{d}{r}{n}号{e}{b}栋{u}单元{room}室" for c, d, r, n, e, b, u, room in zip(*parts, strict=True)])


def people(numbers: Ints, birth: Dates, male: Bools, seed: int, chunk: int, stream: str = "identity") -> People:
    """Identifying values of persons.

    Args:
        numbers: global numbers of the persons.
        birth: dates of birth.
        male: sex.
        seed: the user's seed.
        chunk: number of the chunk, for the words drawn at random.
        stream: another stream gives other values for the same persons, for instance after they moved.
    """
    rng = generator(seed, stream, chunk)
    lists = vocabulary("people")
    n = len(numbers)

    def some(values: list[str]) -> Words:
        return words(values)[rng.integers(0, len(values), n)]

    def recorded(values: Words, share: float) -> Words:
        return np.where(rng.random(n) < share, values, "")

    mail = [
        f"{word}{number}@{host}"
        for word, number, host in zip(
            some(lists["mail_words"].split()),
            scattered(numbers, 10**9, seed + 31).tolist(),
            some(lists["mail_hosts"]),
            strict=True,
        )
    ]
    moved = 0 if stream == "identity" else 300_000_000
    return People(
        name=names(rng, male),
        resident_id=recorded(resident_ids(numbers, birth, male, seed), 0.97),
        insurance_no=recorded(serials("", 10, numbers, seed + 37), 0.7),
        mobile=mobiles(2 * (numbers + moved), seed),
        phone=recorded(landlines(rng, n), 0.25),
        email=recorded(words(mail), 0.12),
        address=addresses(rng, n),
        contact_name=names(rng, rng.random(n) < 0.5),
        contact_relation=some(lists["relations"]),
        contact_mobile=mobiles(2 * (numbers + moved) + 1, seed),
        ethnic_group=some(lists["ethnic_groups"]),
        occupation=some(lists["occupations"]),
    )


@dataclass(frozen=True)
class Roster:
    """The staff of one hospital, as parallel arrays."""

    staff_no: Words
    name: Words
    resident_id: Words
    mobile: Words
    department: Words
    title: Words

    def group(self, *departments: str) -> Words:
        """Names of the staff of some departments."""
        return self.name[np.isin(self.department.astype(str), departments)]


def roster(hospital: int, seed: int) -> Roster:
    """The staff of one hospital.

    Args:
        hospital: number of the hospital.
        seed: the user's seed.
    """
    rng = generator(seed, "roster", hospital)
    lists = vocabulary("people")
    n = STAFF_PER_HOSPITAL
    numbers = STAFF_NUMBERS + hospital * 1000 + np.arange(n)
    male = rng.random(n) < 0.45
    birth = np.datetime64("1965-01-01", "D") + rng.integers(0, 365 * 33, n)
    departments = words(lists["staff_departments"])
    titles = words(lists["titles"])
    return Roster(
        staff_no=words([f"{(hospital + 1) * 10000 + value}" for value in range(n)]),
        name=names(rng, male),
        resident_id=resident_ids(numbers, birth, male, seed),
        mobile=mobiles(2 * numbers, seed),
        department=departments[np.arange(n) % len(departments)],
        title=titles[rng.integers(0, len(titles), n)],
    )
