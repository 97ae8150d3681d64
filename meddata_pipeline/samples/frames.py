"""The sample population as the restricted tables that a cohort reads, without any file in between.

What belongs here: canonical tables made straight from the events, for tests of cohort and estimator over many seeds.
What does not: ids, names and free text, which no cohort needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from meddata_pipeline.core.tables import kinds
from meddata_pipeline.samples.events import TESTS, Events, events
from meddata_pipeline.samples.model import CHUNK, Population

if TYPE_CHECKING:
    import pandas as pd

_DATES = {
    "visit": "visit_date",
    "diagnosis": "diagnosed_on",
    "procedure": "performed_on",
    "medication": "started_on",
    "lab": "collected_on",
    "imaging": "performed_on",
    "variant": "tested_on",
    "follow_up": "followed_on",
}
#: Factors from the model's units to the canonical ones of units.yaml, where they differ.
_FACTORS = {"glucose": 18.016, "creatinine": 1 / 88.42}
_MEASURES = {"height": "cm", "weight": "kg", "bmi": "kg/m2", "smoking": ""}


def deid_frames(population: Population) -> dict[str, pd.DataFrame]:
    """The canonical tables of a population as they stand after ingest and de-identification.

    Persons who opted out or belong to an excluded group are left out, as ingest leaves them out; erroneous rows that a
    later delivery takes back are not there either. Rows are the latest of their record.

    Args:
        population: persons as ``model.simulate`` gives them.

    Returns:
        Frames by kind (patient, visit, diagnosis, procedure, medication, lab, observation, imaging, variant,
        follow_up): ``person_id``, the kind's columns that are neither identifying nor staff names, and the provenance
        columns hospital, day, record_key, deleted. Dates are ``datetime.date``.
    """
    import pandas as pd

    if not len(population):
        return {}
    parts: dict[str, list[pd.DataFrame]] = {}
    piece = population.number // CHUNK
    for number in np.unique(piece):
        chunk = population.take(piece == number)
        for kind, frame in _chunk_frames(chunk).items():
            parts.setdefault(kind, []).append(frame)
    return {kind: pd.concat(frames, ignore_index=True) for kind, frames in parts.items()}


def _chunk_frames(chunk: Population) -> dict[str, pd.DataFrame]:
    tables = events(chunk)
    admitted = chunk.eligible
    return {
        kind: frame
        for source in ("patient", *_DATES)
        for kind, frame in _frames(source, tables[source], chunk, admitted).items()
    }


def _frames(
    kind: str, rows: Events, chunk: Population, admitted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> dict[str, pd.DataFrame]:
    """One kind's frame; a visit also gives the observations of the same source row."""
    import pandas as pd

    rows = rows.take(admitted[rows["person"]] & ~rows["voided"])
    person = rows["person"]
    number = chunk.number[person]
    base = pd.DataFrame(
        {
            "person_id": [f"P{value:08d}" for value in number],
            "hospital": [f"hospital-{chr(ord('a') + int(value))}" for value in rows["hospital"]],
            "day": np.datetime_as_string(np.datetime64(chunk.start, "D") + rows["wave"]),
            "patient_no": [f"N{value:08d}" for value in number],
            "visit_no": [f"V{a:08d}-{b}" if b >= 0 else None for a, b in zip(number, rows["visit"], strict=True)],
            "deleted": False,
        }
    )
    base["record_key"] = [f"{kind}-{a}-{b}" for a, b in zip(number, range(len(base)), strict=True)]
    if kind in _DATES:
        base[_DATES[kind]] = rows["date"].astype("datetime64[D]").astype(object)
    if kind == "patient":
        base["sex"] = np.where(chunk.male[person], "M", "F")
        base["birth_date"] = chunk.birth_date[person].astype("datetime64[D]").astype(object)
    elif kind == "lab":
        loinc = {name: code for name, (code, _) in TESTS.items()}
        units = {name: unit for name, (_, unit) in TESTS.items()}
        qualitative = rows["test"] == "hbsag"
        base["test"] = rows["test"]
        base["code"] = [loinc[name] for name in rows["test"]]
        base["unit"] = [units[name] or None for name in rows["test"]]
        base["unit_source"] = base["unit"]
        base["operator"] = ["<" if low else None for low in rows["censored"]]
        factor = np.array([_FACTORS.get(name, 1.0) for name in rows["test"]])
        value = np.where(rows["censored"], 0.5, rows["value"] * factor)
        base["value"] = np.where(qualitative, np.nan, value)
        base["flag"] = ["qualitative" if words else None for words in qualitative]
    else:
        for name in ("code", "text", "negated", "name", "gene", "variant", "genotype", "carrier", "outcome", "method"):
            if name in rows.columns:
                base[name] = rows[name]
        for name in ("visit_type", "department", "modality", "body_part"):
            if name in rows.columns:
                base[name] = rows[name]
        if "tooth" in rows.columns:
            base["tooth"] = [str(value) if value else None for value in rows["tooth"]]
        if "days" in rows.columns:
            base["days"] = rows["days"].astype(float)
    frames = {kind: _shaped(kind, base)}
    if kind == "visit":
        frames["observation"] = _observations(base, rows)
    return frames


def _observations(visits: pd.DataFrame, rows: Events) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for name, unit in _MEASURES.items():
        part = visits.rename(columns={"visit_date": "observed_on"}).drop(columns=["visit_type", "department"])
        part["name"] = name
        part["value"] = rows[name].astype(float)
        part["unit"] = unit or None
        part["record_key"] = part["record_key"] + "|" + name
        part = part[part["value"].notna()]
        part["value_text"] = [f"{value:g}" for value in part["value"]]
        parts.append(part)
    return _shaped("observation", pd.concat(parts, ignore_index=True))


def _shaped(kind: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with all columns that the restricted table of this kind has, in its order."""
    wanted = ["person_id", *kinds()[kind].names("link", "quasi", "sensitive", "text", "other")]
    frame = frame.reindex(columns=[*wanted, "hospital", "day", "record_key", "deleted"])
    return frame.astype({"deleted": bool})
