"""People who read released notes: drawing the notes, the page, the readers' answers, and the bound that gates texts.

What belongs here: which notes are read, joining two readers, the evidence in the ledger, the gate. What does not: the
statistics (privacy/leak_bound.py), how a note is rendered (privacy/text.py), how the page looks (privacy/templates).

Notes lie below restricted/review only. Answers hold places in notes, never text; the ledger gets counts and digests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.app import nights
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import canonical_json, combined_digest, digest_of, sha256_hex
from meddata_pipeline.core.errors import BadInput, Reason
from meddata_pipeline.core.product import ProductSpec
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.storage.files import ensure_private_dir, write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from meddata_pipeline.privacy.policy import Policy, TextTerms
    from meddata_pipeline.quality.contract import Contract

EVENT = "leak-bound"
STYLES = ("surrogate", "tag")
_READERS = 2
#: Longer cells are somebody's own words, whatever the column is called (as in privacy/deid.py).
_LONG = 60
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Note(NamedTuple):
    order: str
    hospital: str
    day: str
    kind: str
    column: str
    key: str
    row: int
    person: str
    text: str


# -- drawing -----------------------------------------------------------------------------------------------------------


def data_version(workplace: Workplace, hospitals: Sequence[str], text_kinds: Sequence[str]) -> dict[str, str]:
    """By hospital the digest of its de-identified texts: evidence counts for these and no others."""
    partitions = [p for k in (*text_kinds, "spans") for p in workplace.lake.partitions("deid", k)]
    return {h: workplace.lake.combined([p for p in partitions if p.keys[0] == h]) for h in sorted(hospitals)}


def draw(
    workplace: Workplace, n: int, seed: int, product: str | None = None, style: str = "surrogate"
) -> dict[str, Any]:
    """Draw notes as a release would render them, and write the page on which two people read them.

    The notes of all hospitals are put into an order that the seed decides, and each hospital gives a part of the
    sample as large as its part of all notes (one at least). A larger sample of the same seed holds the smaller one.

    Args:
        workplace: the home.
        n: how many notes; all of them where there are fewer.
        seed: decides which.
        product: notes of this product's hospitals and kinds; by default the kind ``note`` of all hospitals.
        style: ``surrogate`` or ``tag``.

    Returns:
        ``sample`` (digest), ``page`` and ``folder`` (relative to the home), ``notes``, ``population``, ``hospitals``.

    Raises:
        BadInput: there is no note to draw from, or fewer asked for than there are hospitals.
    """
    hospitals, text_kinds = _scope(workplace, product)
    whole = {h: _notes(workplace, h, text_kinds, seed, n) for h in hospitals}
    population = {h: count for h, (count, _) in whole.items() if count}
    if not population:
        raise BadInput(
            "There is no de-identified note to draw", where=product or "", next_step="Run `meddata run` first"
        )
    if n < len(population):
        raise BadInput(f"A sample over {len(population)} hospitals needs as many notes", where="--n")
    shares = allocate(population, n)
    drawn = sorted(note for h, share in shares.items() for note in whole[h][1][:share])
    texts, placed = _rendered(workplace, drawn, style)
    facts: dict[str, Any] = {
        "seed": seed,
        "notes": len(drawn),
        "population": sum(population.values()),
        "by_hospital": shares,
        "kinds": text_kinds,
        "style": style,
        "data": data_version(workplace, hospitals, text_kinds),
        "detector": _detector_of(workplace, hospitals),
        "texts": sha256_hex("\x1e".join(texts).encode()),
        "items": [[i.hospital, i.day, i.kind, i.column, i.key] for i in drawn],
    }
    facts["sample"] = digest_of(facts)
    folder = ensure_private_dir(sample_folder(workplace, facts["sample"]))
    write_atomic(folder / "sample.json", canonical_json(facts))
    write_atomic(folder / "index.html", _page(workplace, facts["sample"], texts, placed).encode())
    relative = folder.relative_to(workplace.home).as_posix()
    shown = {name: facts[name] for name in ("sample", "notes", "population", "seed", "style", "kinds")}
    return {**shown, "hospitals": shares, "folder": relative, "page": f"{relative}/index.html"}


def _detector_of(workplace: Workplace, hospitals: Sequence[str]) -> str:
    """Version of the detector that made these texts: code, rules and word lists."""
    spans = [p for p in workplace.lake.partitions("deid", "spans") if p.keys[0] in hospitals]
    return combined_digest({workplace.manifest(p).inputs["detector"] for p in spans})


def _scope(workplace: Workplace, product: str | None) -> tuple[list[str], list[str]]:
    from meddata_pipeline.app import candidates

    if product is not None:
        spec = candidates.spec_of(workplace, product)
        policy, _ = candidates.policy_of(workplace, product)
        return candidates.hospitals_of(workplace, spec), list(policy.text.kinds)
    return sorted({p.keys[0] for p in workplace.lake.partitions("deid", "note")}), ["note"]


def _notes(
    workplace: Workplace, hospital: str, text_kinds: Sequence[str], seed: int, n: int
) -> tuple[int, list[_Note]]:
    """How many notes a hospital has, and the first ``n`` of them in the seed's order."""
    count = 0
    found: list[_Note] = []
    con = workplace.query()
    for kind in text_kinds:
        partitions = [p for p in workplace.lake.partitions("deid", kind) if p.keys[0] == hospital]
        for column in kinds()[kind].names("text") if partitions else ():
            names = ["day", "record_key", "deleted", "row", "person_id", column]
            con.register("deid_rows", workplace.read_all(partitions, names))
            # record_key is a keyed pseudonym: the order can't be worked out outside, nor chosen.
            rows = con.execute(
                f"""
                WITH latest AS (
                    SELECT * FROM deid_rows
                    QUALIFY row_number() OVER (PARTITION BY record_key ORDER BY day DESC) = 1
                ), notes AS (SELECT *, sha256(? || record_key) AS drawn FROM latest
                    WHERE NOT deleted AND length(trim("{column}")) > 0)
                SELECT drawn, day, record_key, row, person_id, "{column}", count(*) OVER () FROM notes
                ORDER BY drawn LIMIT ?
                """,  # noqa: S608 - the names are our own
                [f"{seed}|{hospital}|{kind}|{column}|", n],
            ).fetchall()
            con.unregister("deid_rows")
            count += int(rows[0][6]) if rows else 0
            found += [_Note(r[0], hospital, r[1], kind, column, r[2], int(r[3]), r[4] or "", r[5]) for r in rows]
    con.close()
    return count, sorted(found)[:n]


def allocate(population: Mapping[str, int], n: int) -> dict[str, int]:
    """Share ``n`` notes among hospitals by their size (largest remainders), at least one each, no more than it has.

    Args:
        population: notes by hospital, each at least 1.
        n: notes to share, at least one per hospital.
    """
    total = sum(population.values())
    n = min(n, total)
    exact = {h: n * count / total for h, count in population.items()}
    shares = {h: min(population[h], max(1, int(exact[h]))) for h in population}
    while sum(shares.values()) != n:
        step = 1 if sum(shares.values()) < n else -1
        able = [h for h in shares if (shares[h] < population[h] if step > 0 else shares[h] > 1)]
        shares[max(able, key=lambda h: (step * (exact[h] - shares[h]), h))] += step
    return shares


def _rendered(
    workplace: Workplace, drawn: Sequence[_Note], style: str
) -> tuple[list[str], list[list[tuple[int, int]]]]:
    """The notes as a release would show them, and where each holds what was put in place of an identifier."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from meddata_pipeline.privacy.text import render, span_schema

    tables = [span_schema().empty_table()]
    places: dict[tuple[str, str], list[int]] = {}
    for i, note in enumerate(drawn):
        places.setdefault((note.hospital, note.day), []).append(i)
    for (hospital, day), here in places.items():
        spans = workplace.lake.read(nights.deid_partition("spans", hospital, day))
        for i in here:
            note = drawn[i]
            same = pc.and_(pc.equal(spans["kind"], note.kind), pc.equal(spans["column"], note.column))
            own = spans.filter(pc.and_(same, pc.equal(spans["row"], note.row)))
            own = own.set_column(own.column_names.index("row"), "row", pa.array([i] * own.num_rows, pa.int64()))
            tables.append(own.select(span_schema().names).cast(span_schema()))
    texts, placed = render(
        [note.text for note in drawn],
        pa.concat_tables(tables),
        workplace.keyring.derive("review-sample"),
        style=style,
        persons=[note.person for note in drawn],
    )
    return texts, [[(s.start, s.end) for s in spans] for spans in placed]


def sample_folder(workplace: Workplace, sample: str) -> Path:
    """The restricted folder of a sample."""
    return workplace.settings.zone("review") / f"sample-{sample[:16]}"


def _page(workplace: Workplace, sample: str, texts: Sequence[str], placed: Sequence[Sequence[tuple[int, int]]]) -> str:
    from meddata_pipeline.privacy.review_page import review_page

    return review_page(workplace.settings.lang, sample, texts, placed)


# -- answers -----------------------------------------------------------------------------------------------------------


def take(workplace: Workplace, files: Sequence[Path]) -> dict[str, Any]:
    """Take readers' answers; with those of two readers the bound is computed and goes into the ledger.

    Answers of a reader who has answered before replace the earlier ones; the ledger keeps both bounds, the later one
    counts.

    Args:
        workplace: the home.
        files: answers.json of one or more readers, of one sample.

    Returns:
        ``sample``, ``readers`` so far, ``evidence`` (None until two have read), ``disagreements`` (numbers of notes on
        the page, from 1), ``reasons`` where a text product would still be refused.

    Raises:
        BadInput: a file cannot be read, is not complete, or belongs to another sample.
    """
    answers = [_answers(path) for path in files]
    if len({a["sample"] for a in answers}) != 1:
        raise BadInput("The answers belong to different samples", where="--import", next_step="Import them one by one")
    sample = str(answers[0]["sample"])
    folder = sample_folder(workplace, sample)
    if not (folder / "sample.json").is_file():
        raise BadInput("This home has no such sample", where="--import", next_step="Import where the sample was drawn")
    facts = json.loads((folder / "sample.json").read_bytes())
    for path, found in zip(files, answers, strict=True):
        _complete(found, facts, path.name)
    held = {p.name: json.loads(p.read_bytes()) for p in sorted(folder.glob("answers-*.json"))}
    held |= {f"answers-{sha256_hex(a['reader'].encode())[:8]}.json": a for a in answers}
    if len(held) > _READERS:
        raise BadInput("Two other people have read this sample already", where="--import")
    for name, found in held.items():
        write_atomic(folder / name, canonical_json(found))
    evidence, disagreements = _evidence(workplace, facts, list(held.values())) if len(held) == _READERS else (None, [])
    return {
        "sample": sample,
        "readers": len(held),
        "evidence": evidence,
        "disagreements": disagreements,
        "reasons": [r.as_dict() for r in _judged(workplace, facts)] if evidence else [],
    }


def _answers(path: Path) -> dict[str, Any]:
    """One reader's file, checked; nothing of it is quoted in messages."""
    from meddata_pipeline.privacy.review_page import ANSWERS_FORMAT

    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput("The file of answers cannot be read", where=path.name) from None
    except ValueError:
        raise BadInput("The file of answers is not JSON", where=path.name) from None
    if not isinstance(raw, dict) or raw.get("format") != ANSWERS_FORMAT:
        raise BadInput(f"The file is not one of answers ({ANSWERS_FORMAT})", where=path.name)
    sample, reader, notes = raw.get("sample"), raw.get("reader"), raw.get("notes")
    if not isinstance(sample, str) or not _DIGEST.fullmatch(sample):
        raise BadInput("The file of answers names no sample", where=path.name)
    if not isinstance(reader, str) or not reader.strip():
        raise BadInput("The file of answers names no reader", where=path.name, next_step="Fill in the reader's name")
    if not isinstance(notes, list) or not all(_is_note(note) for note in notes):
        raise BadInput("The file of answers has a note of another form", where=path.name)
    kept = [{"read": bool(n["read"]), "leaks": [[int(a), int(b)] for a, b in n["leaks"]]} for n in notes]
    return {"format": ANSWERS_FORMAT, "sample": sample, "reader": " ".join(reader.split()).casefold(), "notes": kept}


def _is_note(note: Any) -> bool:
    if not isinstance(note, dict) or not isinstance(note.get("read"), bool) or not isinstance(note.get("leaks"), list):
        return False
    return all(
        isinstance(leak, list) and len(leak) == 2 and all(isinstance(i, int) for i in leak) and 0 <= leak[0] < leak[1]
        for leak in note["leaks"]
    )


def _complete(found: Mapping[str, Any], facts: Mapping[str, Any], name: str) -> None:
    read = sum(note["read"] for note in found["notes"])
    if len(found["notes"]) != facts["notes"] or read != facts["notes"]:
        raise BadInput(
            f"The reader has read {read} of {facts['notes']} notes",
            where=name,
            next_step="Load the file on the page, go on, and save it again",
        )


def _evidence(
    workplace: Workplace, facts: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[int]]:
    """Join two readers, and record the bound once."""
    from meddata_pipeline.privacy.leak_bound import CONFIDENCE, join

    joined = join(*([bool(note["leaks"]) for note in a["notes"]] for a in answers))
    digest = digest_of({"answers": list(answers)})
    names = ("sample", "seed", "population", "by_hospital", "kinds", "style", "data", "detector")
    evidence = {
        **{name: facts[name] for name in names},
        "notes": joined.notes,
        "leaking": joined.leaking,
        "upper_bound": joined.upper,
        "confidence": CONFIDENCE,
        "kappa": joined.kappa,
        "disagreements": len(joined.disagreements),
        "readers": len(answers),
        "answers": digest,
    }
    with workplace.ledger() as ledger:
        ledger.record_event(EVENT, facts["sample"], evidence, f"{EVENT}:{facts['sample']}:{digest}")
    write_atomic(sample_folder(workplace, facts["sample"]) / "evidence.json", canonical_json(evidence))
    return evidence, [i + 1 for i in joined.disagreements]


def _judged(workplace: Workplace, facts: Mapping[str, Any]) -> list[Reason]:
    """What the gate would say of the sample's own data, under the default limit."""
    from meddata_pipeline.privacy.policy import TextTerms

    return bound_reasons(workplace, list(facts["data"]), TextTerms(kinds=list(facts["kinds"])), "free text")


# -- the gate ----------------------------------------------------------------------------------------------------------


def text_of(spec: ProductSpec, contract: Contract, frame: pd.DataFrame | None = None) -> list[str]:
    """What of a product is free text: by its form, by its contract, and by what a column holds.

    Args:
        spec: the product; the form ``notes`` is text as a whole.
        contract: columns classified ``text``.
        frame: the table that would be released; a column with a cell longer than 60 characters is free text, however
            it is labelled.

    Returns:
        ``notes`` or names of columns; empty for a product without text.
    """
    found = ["notes"] if spec.form == "notes" else []
    found += [c.name for c in contract.columns if c.classification == "text"]
    if frame is not None:
        for name in frame.columns:
            cells = frame[name].dropna()
            if name not in found and cells.map(lambda v: isinstance(v, str) and len(v) > _LONG).any():
                found.append(str(name))
    return found


def gate(
    workplace: Workplace,
    spec: ProductSpec,
    policy: Policy,
    contract: Contract,
    hospitals: Sequence[str],
    frame: pd.DataFrame | None = None,
) -> list[Reason]:
    """Why a product must not release its text; empty where it may, and for products without text."""
    text = text_of(spec, contract, frame)
    return bound_reasons(workplace, hospitals, policy.text, f"{spec.id}/{', '.join(text)}") if text else []


def bound_reasons(workplace: Workplace, hospitals: Sequence[str], terms: TextTerms, where: str) -> list[Reason]:
    """Whether people have read enough of exactly these texts, and found few enough leaks.

    Args:
        workplace: the home.
        hospitals: whose texts.
        terms: kinds of text, and the limit.
        where: product and what of it, for the reasons.

    Returns:
        ``leak-bound-missing`` or ``leak-bound-too-high``, or nothing.
    """
    from meddata_pipeline.privacy.leak_bound import pooled, upper_bound

    now = data_version(workplace, hospitals, terms.kinds)
    with workplace.ledger() as ledger:
        events = [e.payload for e in ledger.events(EVENT)]
    # Of one sample the latest answers count; of several samples of the same texts all do.
    latest = {e["sample"]: e for e in events if e["data"] == now and set(e["kinds"]) == set(terms.kinds)}
    if not latest:
        detail = "nobody has read a sample of these texts as they are now: meddata review sample"
        return [Reason("leak-bound-missing", detail, where)]
    leaking, notes = pooled(latest.values())
    upper = upper_bound(leaking, notes)
    if upper > terms.leak_bound:
        detail = f"{leaking} of {notes} notes leak: up to {upper:.2%} of all, and the limit is {terms.leak_bound:.2%}"
        return [Reason("leak-bound-too-high", detail, where)]
    return []
