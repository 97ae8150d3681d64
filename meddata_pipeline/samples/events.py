"""What happens to the persons of the model: visits, diagnoses, measurements, treatment, follow-up.

What belongs here: events in canonical words and units, with the day they happen and the delivery that brings them.
What does not: identifiers, names and the spellings of a hospital (``identity``, ``render``). Both the in-memory tables
(``frames``) and the files are made from these events, so they can't disagree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from meddata_pipeline.samples.model import CHUNK, FOLLOW_UP, Bools, Ints, Population, generator, recorded_crp
from meddata_pipeline.samples.vocab import column, vocabulary, words

Column = npt.NDArray[Any]

#: Visits of a person by ordinal: the index visit, the second session, the follow-up visit, the visit after referral.
INDEX, SECOND, REVIEW, REFERRAL = 0, 1, 2, 3

#: LOINC code and canonical unit of each test that the generator knows.
TESTS: dict[str, tuple[str, str]] = {
    "hscrp": ("30522-7", "mg/L"),
    "il6": ("26881-3", "pg/mL"),
    "wbc": ("6690-2", "10*9/L"),
    "neutrophils": ("751-8", "10*9/L"),
    "lymphocytes": ("731-0", "10*9/L"),
    "platelets": ("777-3", "10*9/L"),
    "glucose": ("2345-7", "mg/dL"),
    "hba1c": ("4548-4", "%"),
    "creatinine": ("2160-0", "mg/dL"),
    "hbsag": ("5196-1", ""),
}
_LOD = 0.5
#: Days from the index visit after which no event of the model lies.
_DEATH_AFTER = 200


class Events:
    """Rows of one kind as parallel arrays.

    Every kind has ``person`` (position in the chunk), ``hospital``, ``visit`` (ordinal, -1 where there is none),
    ``date`` and ``wave`` (the delivery that brings the row first); the other columns depend on the kind.
    """

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["person"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def take(self, rows: npt.NDArray[np.integer] | Bools) -> Events:
        """The rows of an index or a mask."""
        return Events({name: values[rows] for name, values in self.columns.items()})


def events(chunk: Population) -> dict[str, Events]:
    """All events of one chunk of persons, by kind.

    Args:
        chunk: persons of one chunk, as ``model.chunks`` gives them.

    Returns:
        Events by kind, only those that some delivery brings; rows are sorted by delivery, then by person.
    """
    rng = generator(chunk.seed, "events", int(chunk.number[0]) // CHUNK)
    make = _Maker(chunk, rng)
    tables = {
        "visit": make.visits(),
        "diagnosis": make.diagnoses(),
        "procedure": make.procedures(),
        "medication": make.medications(),
        "lab": make.labs(),
        "imaging": make.imaging(),
        "pathology": make.pathology(),
        "variant": make.variants(),
        "follow_up": make.follow_up(),
        "note": make.notes(),
        "death": make.deaths(),
    }
    return {"patient": make.patients(), **tables}


class _Maker:
    """Draws the events of one chunk; the order of the calls is part of what the seed fixes."""

    def __init__(self, chunk: Population, rng: np.random.Generator) -> None:
        self.chunk = chunk
        self.rng = rng
        self.everyone = np.arange(len(chunk))
        n = len(chunk)
        self.words = vocabulary("clinical")
        day = chunk.index_date
        self.second_date = day + rng.integers(5, 15, n)
        self.has_second = chunk.pulpitis & (rng.random(n) < 0.7)
        self.review_date = day + rng.integers(60, 181, n)
        self.has_review = chunk.follow_up > 0
        self.referral_date = day + rng.integers(14, 51, n)
        self.has_referral = chunk.referred >= 0

    def wave_of(self, dates: Column) -> Ints:
        """The delivery that is written on the morning after these days."""
        return np.maximum((dates - np.datetime64(self.chunk.start, "D")).astype(np.int64) + 1, 0)

    def table(
        self, person: Ints, visit: Column | int, dates: Column, hospital: Column | None = None, **more: Column
    ) -> Events:
        """Rows with their delivery; those that no delivery brings are dropped."""
        chunk = self.chunk
        columns: dict[str, Column] = {
            "person": person,
            "hospital": chunk.hospital[person] if hospital is None else hospital,
            "visit": np.full(len(person), visit, dtype=np.int64) if isinstance(visit, int) else visit,
            "date": dates,
            "wave": np.maximum(chunk.wave[person], self.wave_of(dates)),
            "staff": self.rng.integers(0, 1 << 30, len(person)),
            **more,
        }
        columns.setdefault("voided", np.zeros(len(person), dtype=bool))
        rows = Events(columns)
        rows = rows.take(rows["wave"] < chunk.days)
        return rows.take(np.lexsort((rows["person"], rows["wave"])))

    def pick(self, options: list[list[object]], size: int) -> list[Column]:
        """Random rows of a word list, as one array per column."""
        chosen = self.rng.integers(0, len(options), size)
        return [column(options, position)[chosen] for position in range(len(options[0]))]

    def patients(self) -> Events:
        chunk = self.chunk
        referred = np.flatnonzero(self.has_referral)
        return self.table(
            np.concatenate([self.everyone, referred]),
            INDEX,
            np.concatenate([chunk.index_date, self.referral_date[referred]]),
            np.concatenate([chunk.hospital, chunk.referred[referred]]),
        )

    def visits(self) -> Events:
        chunk = self.chunk
        parts = [self.everyone, *map(np.flatnonzero, (self.has_second, self.has_review, self.has_referral))]
        dates = [chunk.index_date, self.second_date[parts[1]], self.review_date[parts[2]], self.referral_date[parts[3]]]
        person = np.concatenate(parts)
        ordinal = np.repeat(np.arange(4), [len(part) for part in parts])
        hospital = chunk.hospital[person]
        hospital[ordinal == REFERRAL] = chunk.referred[parts[3]]
        first = ordinal == INDEX
        types, departments = words(self.words["visit_types"]), words(self.words["departments"])
        return self.table(
            person,
            ordinal,
            np.concatenate(dates),
            hospital,
            visit_type=np.where(first, types[self.rng.integers(0, len(types), len(person))], "复诊"),
            department=departments[self.rng.integers(0, len(departments), len(person))],
            height=np.where(first & chunk.bmi_known[person], chunk.height[person], np.nan),
            weight=np.where(first & chunk.bmi_known[person], chunk.weight[person], np.nan),
            bmi=np.where(first & chunk.bmi_known[person], chunk.bmi[person], np.nan),
            smoking=np.where(first & chunk.smoking_known[person], chunk.smoking[person].astype(float), np.nan),
        )

    def diagnoses(self) -> Events:
        chunk, rng, lists = self.chunk, self.rng, self.words["diagnoses"]
        n = len(chunk)
        healthy = ~chunk.pulpitis
        some_tooth = np.array([16, 26, 36, 46, 11, 21, 37, 47])[rng.integers(0, 8, n)]
        nothing = healthy & ~chunk.caries & ~chunk.periodontitis & ~chunk.diabetes
        zero = np.zeros(n, dtype=np.int64)
        denied_case = healthy & (rng.random(n) < 0.06)
        voided = (
            healthy
            & ~denied_case
            & (chunk.wave == 0)
            & (chunk.hospital == 0)
            & (rng.random(n) < 0.012)
            & (chunk.days > 1)
        )
        groups = [(name, chunk.group == code, zero) for code, name in enumerate(("", "hiv", "std", "psychiatric"))]
        plan: list[tuple[str, Bools, Ints]] = [
            ("pulpitis", chunk.pulpitis, chunk.teeth[:, 0]),
            ("pulpitis", chunk.teeth[:, 1] > 0, chunk.teeth[:, 1]),
            ("pulpitis", chunk.teeth[:, 2] > 0, chunk.teeth[:, 2]),
            ("pulpitis_denied", denied_case, some_tooth),
            ("apical", healthy & (rng.random(n) < 0.03), some_tooth),
            ("caries", chunk.caries, some_tooth),
            ("periodontitis", chunk.periodontitis, zero),
            ("diabetes", chunk.diabetes, zero),
            ("diabetes_denied", ~chunk.diabetes & (rng.random(n) < 0.012), zero),
            ("other", nothing | (rng.random(n) < 0.12), some_tooth),
            *groups[1:],
        ]
        persons, codes, texts, teeth, denied = [], [], [], [], []
        for name, mask, tooth in [*plan, ("pulpitis", voided, some_tooth)]:
            rows = np.flatnonzero(mask)
            code, text = self.pick(lists[name], len(rows))
            persons.append(rows)
            codes.append(code)
            texts.append(text)
            teeth.append(tooth[rows])
            denied.append(np.full(len(rows), name.endswith("_denied")))
        person = np.concatenate(persons)
        void = np.zeros(len(person), dtype=bool)
        if voided.any():
            void[-int(voided.sum()) :] = True
        referred = np.flatnonzero(self.has_referral)
        again = rng.integers(0, len(lists["pulpitis"]), len(referred))
        other = rng.integers(0, len(lists["other"]), len(referred))
        case = chunk.pulpitis[referred]
        return self.table(
            np.concatenate([person, referred]),
            np.concatenate([np.zeros(len(person), dtype=np.int64), np.full(len(referred), REFERRAL)]),
            np.concatenate([chunk.index_date[person], self.referral_date[referred]]),
            np.concatenate([chunk.hospital[person], chunk.referred[referred]]),
            code=np.concatenate(
                [*codes, np.where(case, column(lists["pulpitis"], 0)[again], column(lists["other"], 0)[other])]
            ),
            text=np.concatenate(
                [*texts, np.where(case, column(lists["pulpitis"], 1)[again], column(lists["other"], 1)[other])]
            ),
            tooth=np.concatenate([*teeth, np.where(case, chunk.teeth[referred, 0], some_tooth[referred])]),
            negated=np.concatenate([*denied, np.zeros(len(referred), dtype=bool)]),
            voided=np.concatenate([void, np.zeros(len(referred), dtype=bool)]),
        )

    def procedures(self) -> Events:
        chunk, lists = self.chunk, self.words["procedures"]
        n = len(chunk)
        parts = [
            ("pulpitis", np.flatnonzero(chunk.pulpitis & (self.rng.random(n) < 0.8)), INDEX),
            ("pulpitis", np.flatnonzero(self.has_second), SECOND),
            ("caries", np.flatnonzero(chunk.caries & ~chunk.pulpitis & (self.rng.random(n) < 0.6)), INDEX),
            ("periodontitis", np.flatnonzero(chunk.periodontitis & (self.rng.random(n) < 0.4)), INDEX),
        ]
        picked = [self.pick(lists[name], len(rows)) for name, rows, _ in parts]
        person = np.concatenate([rows for _, rows, _ in parts])
        ordinal = np.concatenate([np.full(len(rows), visit) for _, rows, visit in parts])
        return self.table(
            person,
            ordinal,
            np.where(ordinal == SECOND, self.second_date[person], chunk.index_date[person]),
            code=np.concatenate([p[0] for p in picked]),
            name=np.concatenate([p[1] for p in picked]),
            tooth=chunk.teeth[person, 0],
        )

    def medications(self) -> Events:
        chunk = self.chunk
        n = len(chunk)
        day = chunk.index_date
        old = np.flatnonzero(self.rng.random(n) < 0.05)
        after = np.flatnonzero(self.has_second & (self.rng.random(n) < 0.3))
        before = np.flatnonzero(chunk.antibiotics)
        pain = np.flatnonzero(chunk.pulpitis & (self.rng.random(n) < 0.6))
        chronic = np.flatnonzero(chunk.diabetes & (self.rng.random(n) < 0.6))
        parts = [
            ("antibiotics", before, -1, day[before] - chunk.antibiotics_lag[before]),
            ("antibiotics", old, -1, day[old] - self.rng.integers(60, 200, len(old))),
            ("antibiotics", after, SECOND, self.second_date[after]),
            ("analgesics", pain, INDEX, day[pain]),
            ("chronic", chronic, INDEX, day[chronic]),
        ]
        picked = [self.pick(self.words[name], len(rows)) for name, rows, _, _ in parts]
        return self.table(
            np.concatenate([rows for _, rows, _, _ in parts]),
            np.concatenate([np.full(len(rows), visit) for _, rows, visit, _ in parts]),
            np.concatenate([dates for _, _, _, dates in parts]),
            code=np.concatenate([p[0] for p in picked]),
            name=np.concatenate([p[1] for p in picked]),
            days=np.concatenate([p[2] for p in picked]),
        )

    def labs(self) -> Events:
        """Specimen 0 is the one of the exposure; 2 is an older one and 3 a later one, which the cohort must not take.

        ``wrong`` marks results of the third hospital's first load that a correction file repairs on the second day.
        """
        chunk, rng = self.chunk, self.rng
        n = len(chunk)
        day = chunk.index_date
        taken = day - chunk.crp_lag
        crp = recorded_crp(chunk)
        blood = chunk.blood_count_known
        old = rng.random(n) < 0.04
        later = self.has_review & (rng.random(n) < 0.4)
        other_crp = np.maximum(np.round(np.exp(chunk.ln_crp + rng.normal(0, 0.9, n)), 2), 0.01)
        old_date = day - rng.integers(40, 200, n)
        plan = [
            ("hscrp", 0, chunk.crp_known, taken, crp),
            ("il6", 0, chunk.il6_known, taken, chunk.il6),
            ("wbc", 0, blood, taken, chunk.wbc),
            ("neutrophils", 0, blood, taken, chunk.neutrophils),
            ("lymphocytes", 0, blood, taken, chunk.lymphocytes),
            ("platelets", 0, blood, taken, chunk.platelets),
            ("glucose", 1, chunk.chemistry_known | chunk.diabetes, day, chunk.glucose),
            ("hba1c", 1, chunk.diabetes, day, chunk.hba1c),
            ("creatinine", 1, chunk.chemistry_known, day, chunk.creatinine),
            ("hbsag", 1, chunk.chemistry_known, day, chunk.hepatitis_b.astype(float)),
            ("hscrp", 2, old, old_date, other_crp),
            ("hscrp", 3, later, self.review_date, np.roll(other_crp, 1)),
        ]
        rows = [np.flatnonzero(mask) for _, _, mask, _, _ in plan]
        counts = [len(part) for part in rows]
        person = np.concatenate(rows)
        test = np.repeat(words([name for name, *_ in plan]), counts)
        specimen = np.repeat(np.array([number for _, number, *_ in plan]), counts)
        value = np.concatenate([values[part] for part, (*_, values) in zip(rows, plan, strict=True)])
        dates = np.concatenate([when[part] for part, (*_, when, _) in zip(rows, plan, strict=True)])
        is_crp = test == "hscrp"
        return self.table(
            person,
            np.where(specimen == 2, -1, np.where(specimen == 3, REVIEW, INDEX)),
            dates,
            test=test,
            specimen=specimen,
            value=value,
            censored=is_crp & chunk.crp_lod[person] & (value < _LOD),
            wrong=is_crp
            & (specimen == 0)
            & (chunk.hospital[person] % 3 == 2)
            & (chunk.wave[person] == 0)
            & (chunk.days > 1)
            & (rng.random(len(person)) < 0.02),
        )

    def imaging(self) -> Events:
        chunk = self.chunk
        rows = np.flatnonzero(self.rng.random(len(chunk)) < np.where(chunk.pulpitis, 0.75, 0.4))
        modality, body_part = self.pick(self.words["imaging"], len(rows))
        return self.table(
            rows,
            INDEX,
            chunk.index_date[rows],
            modality=modality,
            body_part=body_part,
            tooth=chunk.teeth[rows, 0],
        )

    def pathology(self) -> Events:
        chunk = self.chunk
        rows = np.flatnonzero(self.rng.random(len(chunk)) < np.where(chunk.pulpitis, 0.10, 0.03))
        return self.table(rows, INDEX, chunk.index_date[rows] + 3, tooth=chunk.teeth[rows, 0])

    def variants(self) -> Events:
        chunk = self.chunk
        tested = np.flatnonzero(chunk.panel)
        copies = np.where(self.rng.random(len(tested)) < 0.15, 2, 1)
        second = self.rng.choice(3, len(tested), p=[0.86, 0.12, 0.02])
        person = np.concatenate([tested, tested])
        genotype = np.concatenate([np.where(chunk.carrier[tested], copies, 0), second])
        which = np.repeat([0, 1], len(tested))
        panel = self.words["variants"]
        names = np.array([row[2] for row in panel], dtype=object)
        return self.table(
            person,
            INDEX,
            chunk.index_date[person],
            gene=column(panel, 0)[which],
            variant=column(panel, 1)[which],
            genotype=names[which, genotype],
            carrier=genotype > 0,
        )

    def follow_up(self) -> Events:
        chunk = self.chunk
        rows = np.flatnonzero(self.has_review)
        methods = words(self.words["methods"])
        return self.table(
            rows,
            REVIEW,
            self.review_date[rows],
            outcome=words(FOLLOW_UP)[chunk.follow_up[rows]],
            method=methods[self.rng.integers(0, len(methods), len(rows))],
        )

    def deaths(self) -> Events:
        """Deaths of elderly persons, later than everything else that the model knows of them."""
        chunk, rng = self.chunk, self.rng
        n = len(chunk)
        since = (np.datetime64(chunk.start, "D") - chunk.index_date).astype(np.int64)
        rows = np.flatnonzero((since >= _DEATH_AFTER + 60) & (chunk.age >= 60) & (rng.random(n) < 0.1))
        return self.table(
            rows,
            -1,
            chunk.index_date[rows] + _DEATH_AFTER + rng.integers(0, 50, len(rows)),
            cause=self.pick(self.words["causes_of_death"], len(rows))[0],
        )

    def notes(self) -> Events:
        chunk = self.chunk
        parts = [self.everyone, np.flatnonzero(self.has_second), np.flatnonzero(self.has_referral)]
        person = np.concatenate(parts)
        ordinal = np.repeat([INDEX, SECOND, REFERRAL], [len(part) for part in parts])
        hospital = chunk.hospital[person]
        hospital[ordinal == REFERRAL] = chunk.referred[parts[2]]
        dates = np.concatenate([chunk.index_date, self.second_date[parts[1]], self.referral_date[parts[2]]])
        return self.table(person, ordinal, dates, hospital)
