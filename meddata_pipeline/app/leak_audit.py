"""The leak audit of a hospital's day: what was found in its texts, and how many planted identifiers would have been.

What belongs here: choosing notes, searching the planted copies as the night searches its texts, judging the counts.
What does not: the probes (privacy/probes.py), people who read notes (app/leak_sample.py).

Copies of notes with planted identifiers live in memory only; what is kept and shown are counts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from meddata_pipeline.app import nights
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import combined_digest, file_sha256, sha256_hex
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.core.tables import kinds

if TYPE_CHECKING:
    from meddata_pipeline.privacy.detect import Known
    from meddata_pipeline.privacy.probes import Probe

_CONFIG = "leak_audit.yaml"


class AuditTerms(BaseModel):
    """leak_audit.yaml.

    Attributes:
        notes: how many notes of a day are copied.
        shortest: code points below which a text is no note.
        probes: how many probes by entity; ``default`` for the others.
        warn_below: recall by entity below which the audit warns.
        block_below: recall by entity that the interval's upper limit must reach, else the night stops.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    notes: int = Field(ge=1)
    shortest: int = Field(ge=1)
    probes: dict[str, int]
    warn_below: dict[str, float]
    block_below: dict[str, float]

    def count(self, entity: str) -> int:
        """How many probes of an entity are planted."""
        return self.probes.get(entity, self.probes.get("default", 0))


def load_terms(config: Config) -> AuditTerms:
    """Read leak_audit.yaml.

    Raises:
        ConfigError: it is missing or wrong; the text names the key.
    """
    try:
        return AuditTerms.model_validate(config.load(_CONFIG))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"The key {'.'.join(map(str, first['loc']))} is wrong", where=_CONFIG) from None


@cache
def _probes_version() -> str:
    """Digest of everything that decides what is planted."""
    from importlib import resources

    package = Path(str(resources.files("meddata_pipeline.privacy")))
    return combined_digest(f"{n} {file_sha256(package / n)}" for n in ("probes.py", "probes.yaml", "leak_bound.py"))


def _inputs(workplace: Workplace, hospital: str, day: str) -> dict[str, str]:
    spans = workplace.manifest(nights.deid_partition("spans", hospital, day))
    texts = [nights.deid_partition(kind, hospital, day) for kind in nights.TEXT_KINDS]
    return {
        "spans": spans.digest,
        "deid": workplace.lake.combined(texts),
        # Records, identities, roster, register, detector and profile, as the de-identification had them.
        "made_from": spans.inputs_digest,
        "probes": _probes_version(),
        "terms": workplace.config_digest(_CONFIG),
    }


def audited(workplace: Workplace, hospital: str, day: str) -> Outcome | None:
    """The outcome of an audit that is still up to date, else None."""
    if workplace.lake.manifest(nights.deid_partition("spans", hospital, day)) is None:
        return None
    return workplace.kept(nights.deid_partition(nights.AUDIT, hospital, day), _inputs(workplace, hospital, day))


def audit(workplace: Workplace, hospital: str, day: str) -> Outcome:
    """Audit one de-identified day.

    The check ``planted_recall`` only warns: it rests on sentences that somebody made up, and for names it leaves out
    what the pipeline finds best, the names that the hospital knows. The check ``planted_recall_floor`` blocks, because
    it speaks of identifiers that have a form of their own (a resident id, a phone number behind its label) and fails
    only where chance cannot explain it: then the detector does not work on this hospital's texts at all, and what lies
    in the deid layer holds identifiers.

    Returns:
        Counts by entity and recognizer, the review list's size, recall with exact intervals; no text, no value.
    """
    import pyarrow as pa

    from meddata_pipeline.ingest.profile import load_profile
    from meddata_pipeline.privacy import probes
    from meddata_pipeline.privacy.masker import Masker

    inputs = _inputs(workplace, hospital, day)
    partition = nights.deid_partition(nights.AUDIT, hospital, day)
    if (kept := workplace.kept(partition, inputs)) is not None:
        return kept
    terms = load_terms(workplace.config)
    spans = workplace.manifest(nights.deid_partition("spans", hospital, day))
    notes, size = _notes(workplace, hospital, day, terms)
    identities = nights.identities_of(workplace, hospital)
    known = [identities.known(hospital, number) for _, number in notes]
    staff = identities.staff(hospital)
    profile = load_profile(workplace.config, hospital)
    masker = Masker(workplace.keyring.derive("person"), staff, profile.id_patterns)
    planted = probes.plant(
        [text for text, _ in notes],
        {e: terms.count(e) for e in dict.fromkeys([*probes.entities("zh"), *probes.entities("en")])},
        seed=f"{hospital}|{day}|{spans.digest}".encode(),
        unknown_to=frozenset(identities.all_names()) | frozenset(staff),
    )
    began = time.process_time()
    unknown = probes.search(planted, masker.detector, [known[p.note] for p in planted])
    seconds = time.process_time() - began
    told = _searched_when_known(planted, masker, known)
    table = _counts(planted, unknown, told)
    facts: dict[str, Any] = {
        **size,
        "found_by_entity": spans.facts["facts"]["found_by_entity"],
        "found_by_recognizer": spans.facts["facts"]["found_by_recognizer"],
        "review": spans.facts["facts"].get("review", {"open": 0, "by_entity": {}}),
        "notes_copied": len(notes),
        "planted": len(planted),
        "recall": recall_by(table, "entity"),
        "recall_by_place": recall_by(table, "place"),
        "searched_documents_per_cpu_second": round(len(planted) / seconds) if seconds else 0,
    }
    rows = pa.Table.from_pylist(table, schema=_schema())
    outcome = Outcome("", facts=facts, checks=judge(facts["recall"], terms), figures=figures(facts))
    return workplace.keep(partition, rows, inputs, outcome)


def _schema() -> Any:
    import pyarrow as pa

    names = ("planted", "found", "partly", "known_planted", "known_found")
    return pa.schema([("entity", pa.string()), ("place", pa.string()), *((n, pa.int64()) for n in names)])


def _notes(
    workplace: Workplace, hospital: str, day: str, terms: AuditTerms
) -> tuple[list[tuple[str, str | None]], dict[str, int]]:
    """Notes of a day with their patients' numbers, drawn by digests so that nobody can choose which; what there is."""
    register = nights.register_of(workplace, hospital)
    drawn: list[tuple[str, str, str | None]] = []
    documents = characters = 0
    for kind in nights.TEXT_KINDS:
        table = nights.rows_of_day(workplace, kind, hospital, day, register)
        numbers, keys = table["patient_no"].to_pylist(), table["record_key"].to_pylist()
        for column in kinds()[kind].names("text"):
            for i, text in enumerate(table[column].to_pylist()):
                if not text:
                    continue
                documents += 1
                characters += len(text)
                if len(text) >= terms.shortest:
                    drawn.append((sha256_hex(f"{kind}|{column}|{keys[i]}".encode()), text, numbers[i]))
        drawn = sorted(drawn, key=lambda d: d[0])[: terms.notes]
    return [(text, number) for _, text, number in drawn], {"documents": documents, "characters": characters}


def _searched_when_known(planted: Sequence[Probe], masker: Any, known: Sequence[Known | None]) -> dict[int, float]:
    """Which probes would be found if they stood in the patient's row; only those that can."""
    from meddata_pipeline.privacy import probes

    about = {i: k for i, p in enumerate(planted) if (k := probes.with_known(p, known[p.note])) is not None}
    shares = probes.search([planted[i] for i in about], masker.detector, list(about.values()))
    return dict(zip(about, shares, strict=True))


def _counts(planted: Sequence[Probe], unknown: Sequence[float], told: Mapping[int, float]) -> list[dict[str, Any]]:
    """One row by entity and place."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for i, (probe, share) in enumerate(zip(planted, unknown, strict=True)):
        row = rows.setdefault((probe.entity, probe.place), Counter())
        row["planted"] += 1
        row["found"] += share == 1.0
        row["partly"] += 0.0 < share < 1.0
        if i in told:
            row["known_planted"] += 1
            row["known_found"] += told[i] == 1.0
    names = ("planted", "found", "partly", "known_planted", "known_found")
    return [{"entity": e, "place": p, **{n: row[n] for n in names}} for (e, p), row in rows.items()]


def recall_by(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, dict[str, Any]]:
    """Recall with its exact 95 % interval by entity or place; what is found in part counts as missed.

    Returns:
        By value of the column: planted, found, partly, recall, low, high; and when_known where a patient's row can
        hold such a value.
    """
    from meddata_pipeline.privacy.leak_bound import interval

    sums: dict[str, Counter[str]] = {}
    for row in rows:
        sums.setdefault(row[column], Counter()).update({n: v for n, v in row.items() if isinstance(v, int)})
    answer = {}
    for name, s in sums.items():
        low, high = interval(s["found"], s["planted"])
        answer[name] = {
            "planted": s["planted"],
            "found": s["found"],
            "partly": s["partly"],
            "recall": round(s["found"] / s["planted"], 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "when_known": round(s["known_found"] / s["known_planted"], 4) if s["known_planted"] else None,
        }
    return answer


def judge(recall: Mapping[str, Mapping[str, Any]], terms: AuditTerms) -> tuple[Check, ...]:
    """The audit's checks: a warning below the thresholds, a stop where chance cannot explain it."""
    low = {e: r for e, r in recall.items() if r["recall"] < terms.warn_below.get(e, 0.0)}
    broken = {e: r for e, r in recall.items() if r["high"] < terms.block_below.get(e, 0.0)}
    nothing = "" if recall else "no notes to plant into"
    return (
        Check("planted_recall", not low, "warning", "low-recall", _said(low) or nothing, {"below": len(low)}),
        Check("planted_recall_floor", not broken, "error", "detector-broken", _said(broken) or nothing),
    )


def _said(some: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(f"{e}: {r['found']} of {r['planted']} planted identifiers found" for e, r in some.items())


def figures(facts: Mapping[str, Any]) -> dict[str, str]:
    """Pictures for the UI: recall of what was planted, and what the recognizers found."""
    from meddata_pipeline.render.figures import bars

    made = {}
    if recall := facts["recall"]:
        names = sorted(recall, key=lambda e: (recall[e]["recall"], e))
        texts = []
        for r in (recall[e] for e in names):
            known = "" if r["when_known"] is None else f" · 已知时 when known {r['when_known']:.0%}"
            texts.append([f"{r['found']}/{r['planted']} ({r['low']:.2f}–{r['high']:.2f}){known}"])
        made["recall"] = bars(
            names,
            [recall[e]["recall"] for e in names],
            title="植入标识的召回率（95% 精确区间） Recall of planted identifiers (exact 95 % interval)",
            desc="Identifiers that the hospital does not know, planted into copies of its notes.",
            texts=texts,
            highest=1.0,
        )
    if found := facts["found_by_recognizer"]:
        names = sorted(found, key=lambda n: (-found[n], n))
        title = "各识别器发现的标识 Identifiers by recognizer"
        made["recognizers"] = bars(names, [found[n] for n in names], title=title)
    return made
