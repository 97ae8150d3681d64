"""A product's candidate: cohort, study of record, protection, risk, quality, the study again, price, dossier.

What belongs here: the steps per product, what each depends on, the files of a release. What does not: how a cohort is
defined (study), how a table is anonymised (privacy), its risk (attacks), whether it is published (releases).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import contracts, dossier, leak_sample, live_versions, nights, quality_quarantine
from meddata_pipeline.app.nights import DEID_KINDS
from meddata_pipeline.app.outcome import Check, Outcome
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.balance import Balance
from meddata_pipeline.core.canonical import canonical_json, digest_of
from meddata_pipeline.core.errors import Reason, Refused
from meddata_pipeline.core.offer import OfferTerms, load_offer
from meddata_pipeline.core.product import ProductSpec, load_product
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.storage.files import PUBLIC_FILE, write_atomic
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from meddata_pipeline.privacy.policy import Policy
    from meddata_pipeline.privacy.versions import Classes, Protected
    from meddata_pipeline.quality.contract import Contract
    from meddata_pipeline.study.cohort import FlowStep
    from meddata_pipeline.study.spec import StudySpec


# -- what a product is made of -----------------------------------------------------------------------------------------


def spec_of(workplace: Workplace, product: str) -> ProductSpec:
    """The product's head."""
    return load_product(workplace.config, product)


def _study_of(workplace: Workplace, spec: ProductSpec) -> StudySpec:
    from meddata_pipeline.study.spec import load_study

    return load_study(workplace.config.find(f"products/{spec.cohort_product}/study.yaml"))


def policy_of(workplace: Workplace, product: str) -> tuple[Policy, Path]:
    """The product's privacy policy, and the folder that its hierarchy files lie in."""
    from meddata_pipeline.privacy.policy import load_policy

    path = workplace.config.find(f"products/{product}/privacy.yaml")
    return load_policy(path), path.parent


def contract_of(workplace: Workplace, product: str) -> Contract:
    """The product's data contract."""
    from meddata_pipeline.quality.contract import load_contract

    return load_contract(workplace.config.find(f"products/{product}/contract.yaml"))


def offer_of(workplace: Workplace, product: str) -> OfferTerms:
    """The product's offer."""
    return load_offer(workplace.config, product)


def cohort_partition(spec: ProductSpec) -> Partition:
    """Partition of the cohort; products with one cohort share it."""
    return Partition("cohort", "table", (spec.cohort_product,))


def _study_partition(spec: ProductSpec) -> Partition:
    return Partition("cohort", "study", (spec.cohort_product,))


def persons_partition(product: str, number: int) -> Partition:
    """Partition of the persons of a published version."""
    return Partition("candidate", "released-persons", (product, str(number)))


def candidate_partition(name: str, product: str) -> Partition:
    """Partition of one part of a candidate."""
    return Partition("candidate", name, (product,))


# -- cohort ------------------------------------------------------------------------------------------------------------


def _deid_of(workplace: Workplace, spec: ProductSpec, kind: str) -> list[Partition]:
    found = workplace.lake.partitions("deid", kind)
    return [p for p in found if spec.hospitals == "all" or p.keys[0] in spec.hospitals]


def has_data(workplace: Workplace, product: str) -> bool:
    """Whether any of the product's hospitals has delivered."""
    return bool(_deid_of(workplace, spec_of(workplace, product), "patient"))


def _cohort_inputs(workplace: Workplace, spec: ProductSpec) -> dict[str, str]:
    parts = {kind: workplace.lake.combined(_deid_of(workplace, spec, kind)) for kind in DEID_KINDS}
    return {
        **parts,
        "aside": workplace.lake.combined(_aside_of(workplace, spec)),
        "cohort": workplace.config_digest(f"products/{spec.cohort_product}/cohort.yaml"),
    }


def _aside_of(workplace: Workplace, spec: ProductSpec) -> list[Partition]:
    """Rows that rules of quality put aside on the days that the cohort is built from."""
    asides = [nights.aside_partition(*p.keys) for p in _deid_of(workplace, spec, "patient")]
    return [p for p in asides if workplace.lake.manifest(p) is not None]


def current_tables(
    workplace: Workplace, con: duckdb.DuckDBPyConnection, parts: Mapping[str, Sequence[Partition]], aside: pa.Table
) -> list[Balance]:
    """Make the tables that a cohort reads: the newest version of each record, without voided ones and those put aside.

    A record whose newest version is aside is left out: an older version must not come back in its place.

    Args:
        workplace: where.
        con: gets one table per kind.
        parts: de-identified partitions by kind.
        aside: from quality_quarantine.kept_out.

    Returns:
        The balance of each kind's rows.
    """
    con.register("aside", aside)
    balances = []
    for kind, partitions in parts.items():
        whole = workplace.read_all(partitions, _cohort_columns(kind))
        con.register(f"all_{kind}", whole)
        # Materialised once: several variables read the same table. Within a day each record stands once already.
        con.execute(
            f'CREATE TEMP TABLE "{kind}" AS SELECT * EXCLUDE (deleted), EXISTS (FROM aside a WHERE '  # noqa: S608
            f"a.kind = '{kind}' AND a.hospital = t.hospital AND a.day = t.day AND a.record_key = t.record_key) AS bad "
            f'FROM (SELECT * FROM "all_{kind}" '
            "QUALIFY row_number() OVER (PARTITION BY hospital, record_key ORDER BY day DESC) = 1) t WHERE NOT deleted"
        )
        con.unregister(f"all_{kind}")
        newest, bad = map(int, con.execute(f'SELECT count(*), count(*) FILTER (bad) FROM "{kind}"').fetchall()[0])  # noqa: S608
        con.execute(f'DELETE FROM "{kind}" WHERE bad')  # noqa: S608
        for column in ("record_key", "bad"):
            con.execute(f'ALTER TABLE "{kind}" DROP COLUMN {column}')
        (left,) = con.execute(f'SELECT count(*) FROM "{kind}"').fetchall()[0]  # noqa: S608
        excluded = {"quality": bad} if bad else {}
        balances.append(Balance(kind, whole.num_rows, left, excluded, merged={"superseded": whole.num_rows - newest}))
    con.unregister("aside")
    return balances


def build_cohort(workplace: Workplace, product: str) -> Outcome:
    """Build the product's cohort from the current de-identified records of its hospitals.

    Raises:
        Refused: none of the product's hospitals has delivered, or nobody is eligible.
    """
    import pyarrow as pa

    from meddata_pipeline.disclosure.cells import small_cell_limit
    from meddata_pipeline.disclosure.publish import publish_flow
    from meddata_pipeline.render.figures import flow
    from meddata_pipeline.study import cohort as cohorts

    spec = spec_of(workplace, product)
    partitions = _deid_of(workplace, spec, "patient")
    if not partitions:
        raise Refused(
            "None of the product's hospitals has delivered", reasons=[Reason("no-data", where=product)], where=product
        )
    if failed := nights.gate(workplace, hospitals_of(workplace, spec)):
        raise Refused("A night that this product is built on is not closed", reasons=failed, where=product)
    inputs = _cohort_inputs(workplace, spec)
    if (kept := workplace.kept(cohort_partition(spec), inputs)) is not None:
        return kept
    definition = cohorts.load_cohort(workplace.config, spec.cohort_product)
    as_of = max(p.keys[1] for p in partitions)
    con = workplace.query()
    parts = {kind: _deid_of(workplace, spec, kind) for kind in DEID_KINDS}
    aside = quality_quarantine.kept_out(workplace, _aside_of(workplace, spec))
    rows = current_tables(workplace, con, parts, aside)
    made = cohorts.build(con, definition, as_of=date.fromisoformat(as_of))
    con.close()
    steps = made.flow
    balance = Balance(
        "cohort", steps[0].n_before, len(made.frame), excluded={s.id: s.excluded for s in steps if s.excluded}
    )
    if not len(made.frame):
        raise Refused(
            "Nobody is eligible for the cohort", reasons=[Reason("empty-cohort", where=product)], where=product
        )
    off = [one.name for one in (balance, *rows) if one.difference]
    detail = f"{balance.rows_in} persons in, {balance.rows_out} in the cohort; not exact: {', '.join(off) or 'none'}"
    check = Check("row_balance", not off, "error", "row-balance", detail)
    facts = {
        "as_of": as_of,
        "persons": len(made.frame),
        "flow": _flow(steps),
        "row_balances": {one.name: one.as_dict() for one in rows},
        "balance": balance.as_dict(),
    }
    table = pa.Table.from_pandas(made.frame, preserve_index=False).replace_schema_metadata(None)
    # Drawn for the UI, so without small groups; the exact flow stays in the restricted manifest.
    shown = publish_flow(_flow(steps), small_cell_limit(policy_of(workplace, product)[0].k))
    figures = {"flow": flow(shown)}
    return workplace.keep(
        cohort_partition(spec), table, inputs, Outcome("", facts=facts, checks=(check,), figures=figures)
    )


def _flow(steps: Sequence[FlowStep]) -> list[dict[str, Any]]:
    return [{**asdict(step), "title": step.title.model_dump()} for step in steps]


#: Ids that no cohort joins by, and long texts: not read, since memory is what limits the size of a cohort.
_UNREAD = {"specimen_no", "exam_no", "pathology_no", "sample_no", "note_no", "value_text", "unit_source", "test"}


def _cohort_columns(kind: str) -> list[str]:
    """Columns of a de-identified table that a cohort may read."""
    table = kinds()[kind]
    kept = [c.name for c in table.columns if c.sensitivity not in ("direct", "staff")]
    if kind in ("note", "pathology", "follow_up", "imaging"):
        kept = [c for c in kept if table.column(c).sensitivity != "text"]
    unread = _UNREAD - {"value_text"} if kind == "observation" else _UNREAD
    return ["person_id", *(c for c in kept if c not in unread), "hospital", "day", "record_key", "deleted"]


def cohort_frame(workplace: Workplace, spec: ProductSpec) -> pd.DataFrame:
    """The product's cohort: restricted, with its true values."""
    frame: pd.DataFrame = workplace.lake.read(cohort_partition(spec)).to_pandas(date_as_object=True)
    return frame


def study_cohort(workplace: Workplace, product: str) -> Outcome:
    """Run the association study of record on the restricted cohort."""
    from meddata_pipeline.study.api import measure

    spec = spec_of(workplace, product)
    inputs = {
        "cohort": workplace.manifest(cohort_partition(spec)).digest,
        "study": workplace.config_digest(f"products/{spec.cohort_product}/study.yaml"),
    }
    if (kept := workplace.kept(_study_partition(spec), inputs)) is not None:
        return kept
    answer = measure(cohort_frame(workplace, spec), _study_of(workplace, spec))
    return workplace.keep_object(
        _study_partition(spec), answer.as_dict(), inputs, Outcome("", facts={"estimates": len(answer.estimates)})
    )


# -- candidate ---------------------------------------------------------------------------------------------------------


def release_key(workplace: Workplace, product: str, cohort_digest: str, number: int | None = None) -> bytes:
    """The key of one version's row ids, and of what else must not join to another version.

    Under ``linkability: none`` it is random, kept with the candidate so that reruns give the same bytes, and destroyed
    at publication. Demo keys follow from the seed, so that two runs of the demo give the same release. With
    ``longitudinal`` all versions of a major version have the same.

    Args:
        workplace: the home.
        product: the product's id.
        cohort_digest: of the candidate's cohort.
        number: of the version's commit; by default that of the candidate which lies there.
    """
    policy, _ = policy_of(workplace, product)
    if policy.longitudinal:
        return workplace.keyring.derive(f"rows:{product}:{contract_of(workplace, product).major}")
    if number is None:
        number = live_versions.next_number(live_versions.beside(workplace, product))
    if workplace.keyring.demo or policy.linkability == "versions":
        return workplace.keyring.derive(f"release:{product}:{number}:{cohort_digest}")
    return dossier.random_key(workplace, product, cohort_digest, number)


def _shift_key(workplace: Workplace, product: str, key: bytes) -> bytes:
    """The key of date shifts: one per major version while keys are kept, else that of the version."""
    if policy_of(workplace, product)[0].linkability == "none":
        return key
    return workplace.keyring.derive(f"shift:{product}:{contract_of(workplace, product).major}")


def _table_inputs(workplace: Workplace, spec: ProductSpec, versions: Sequence[live_versions.Live]) -> dict[str, str]:
    return {
        "cohort": workplace.manifest(cohort_partition(spec)).digest,
        "privacy": workplace.config_digest(f"products/{spec.id}/privacy.yaml"),
        "versions": live_versions.inputs_digest(versions, contract_of(workplace, spec.id).major),
    }


def _kept_table(workplace: Workplace, spec: ProductSpec) -> Outcome | None:
    """The candidate's table where it is up to date: beside all live versions, or published as the last of them."""
    for versions in (live_versions.beside(workplace, spec.id), live_versions.live(workplace, spec.id)):
        inputs = _table_inputs(workplace, spec, versions)
        if (kept := workplace.kept(candidate_partition("table", spec.id), inputs)) is not None:
            return kept
    return None


#: Holds whose a row is while a table is anonymised; no column of a cohort has such a name.
_OWNER = "\0person"


def protect(workplace: Workplace, product: str) -> Outcome:
    """Re-key the cohort, anonymise it so that no earlier version is undone, and have it recounted.

    Raises:
        Refused: no table meets the policy, the frozen scheme does not fit any more, or the release would expose people
            together with the earlier versions.
    """
    import pyarrow as pa

    from meddata_pipeline.privacy import versions
    from meddata_pipeline.privacy.release import rekey
    from meddata_pipeline.privacy.tabular.verify import verify

    spec = spec_of(workplace, product)
    cohort = workplace.manifest(cohort_partition(spec))
    partition = candidate_partition("table", product)
    contracts.require_version(workplace, product)
    _require_read_text(workplace, spec)
    if (kept := _kept_table(workplace, spec)) is not None:
        return kept
    policy, base = policy_of(workplace, product)
    earlier = live_versions.live(workplace, product)
    inputs = _table_inputs(workplace, spec, earlier)
    whole = cohort_frame(workplace, spec)
    shifted, months = date_columns(whole, policy)
    key = release_key(workplace, product, cohort.digest, live_versions.next_number(earlier))
    frame = rekey(
        whole.assign(**{_OWNER: whole["person_id"]}),
        key=key,
        shift_key=_shift_key(workplace, product, key),
        date_columns=shifted,
        month_columns=months,
        keep_person=True,
    )
    persons = frame.pop(_OWNER)
    seen = live_versions.classes(workplace, product, earlier)
    scheme, since = _scheme(workplace, product, earlier)
    safe = versions.protect(
        frame,
        policy,
        base,
        persons=persons,
        earlier=seen,
        scheme=scheme,
        key=workplace.keyring.derive(f"cover:{product}:{live_versions.next_number(earlier)}"),
    )
    made = safe.made
    released = made.require()
    _require_read_text(workplace, spec, released)
    problems: list[Reason] = []
    try:
        counted = verify(
            released,
            policy,
            unit=frame[policy.unit] if policy.unit else None,
            report=made.report,
            original=frame,
            background=made.background,
            base=base,
        )
    except Refused as refusal:
        counted, problems = {}, list(refusal.reasons)
    dropped = len(frame) - len(released)
    undone = int(safe.withheld.sum()) if dropped else 0
    suppressed = {"small-class": dropped - undone, **({"versions": undone} if undone else {})}
    balance = Balance("candidate", len(frame), len(released), suppressed=suppressed)
    checks = (
        Check(
            "row_balance", balance.difference == 0, "error", "row-balance", f"{len(frame)} rows in, {len(released)} out"
        ),
        Check("k_anonymity", not problems, "error", "k-anonymity", "; ".join(r.detail for r in problems), counted),
        _stands_beside(seen, safe, policy),
    )
    made.report["versions"] = {
        "live": len(earlier),
        "since": since,
        "withheld_rows": int(safe.withheld.sum()),
        "exposed": safe.exposed,
    }
    table = released.assign(row_id=frame.loc[released.index, "row_id"]) if len(released) else released
    table = table[["row_id", *released.columns]].sort_values("row_id", kind="stable")
    facts = {"k": policy.k, "balance": balance.as_dict(), "report": made.report, "recount": counted}
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    version = f"{contract_of(workplace, product).major}.{live_versions.next_number(earlier)}"
    kept_scheme = {
        "scheme": made.transformation if versions.is_global(policy) else None,
        "hierarchies": versions.scheme_digest(policy, base),
        "since": since or version,
    }
    live_versions.keep_waiting(workplace, product, safe.classes, workplace.stamped(inputs), kept_scheme)
    workplace.keep_object(candidate_partition("protection", product), made.report, inputs, Outcome(""))
    return workplace.keep(partition, arrow, inputs, Outcome("", facts=facts, checks=checks))


def _scheme(
    workplace: Workplace, product: str, earlier: Sequence[live_versions.Live]
) -> tuple[dict[str, int] | None, str | None]:
    """The frozen levels and the version that they were found in; None where nothing is frozen.

    Raises:
        Refused: the policy gives the levels another meaning.
    """
    from meddata_pipeline.privacy.versions import require_same

    policy, base = policy_of(workplace, product)
    binding = live_versions.frozen(earlier, contract_of(workplace, product).major)
    if binding is None:
        return None, None
    require_same(binding.facts["hierarchies"], policy, base, binding.facts["since"])
    return binding.facts["scheme"], binding.facts["since"]


def _stands_beside(seen: Sequence[Classes], safe: Protected, policy: Policy) -> Check:
    """A recount of people by their class in every live version and in the candidate; small counts are not told."""
    from meddata_pipeline.disclosure.cells import masked_count, small_cell_limit
    from meddata_pipeline.privacy.versions import recount

    counted = recount([*seen, safe.classes])
    # What is out already may be smaller than a k that was raised since; no new version may make it smaller.
    least = min(policy.k, recount(seen)["smallest"] or policy.k)
    passed = counted["smallest"] >= least or not counted["patterns"]
    limit = small_cell_limit(policy.k)
    facts = {
        "live_versions": len(seen),
        "patterns": counted["patterns"],
        "persons": masked_count(counted["persons"], limit),
        "exposed": masked_count(safe.exposed, limit),
        "withheld_rows": masked_count(int(safe.withheld.sum()), limit),
    }
    detail = f"beside {len(seen)} versions, the smallest pattern holds {'at least' if passed else 'fewer than'} {least}"
    return Check("live_versions", passed, "error", "versions-expose", detail, facts)


def _text_reasons(workplace: Workplace, spec: ProductSpec, frame: pd.DataFrame | None = None) -> list[Reason]:
    policy, _ = policy_of(workplace, spec.id)
    contract = contract_of(workplace, spec.id)
    return leak_sample.gate(workplace, spec, policy, contract, hospitals_of(workplace, spec), frame)


def _require_read_text(workplace: Workplace, spec: ProductSpec, frame: pd.DataFrame | None = None) -> None:
    """Free text is released only where two people have read a sample of it as it is now."""
    if reasons := _text_reasons(workplace, spec, frame):
        raise Refused("The text of this product has no sufficient leak bound", reasons=reasons, where=spec.id)


def date_columns(cohort: pd.DataFrame, policy: Policy) -> tuple[list[str], list[str]]:
    """Date columns that move with their person: by days, and those that stand for a month."""
    if not policy.date_shift:
        return [], []
    dates = [c for c in cohort.columns if cohort[c].map(lambda v: isinstance(v, date)).any()]
    levels = {name: quasi.dates or [] for name, quasi in policy.quasi_identifiers.items()}
    months = [c for c in dates if levels.get(c, [])[:1] == ["month"]]
    return [c for c in dates if c not in months], months


def released_frame(workplace: Workplace, product: str) -> pd.DataFrame:
    """The candidate's table as it would be published."""
    frame: pd.DataFrame = workplace.lake.read(candidate_partition("table", product)).to_pandas(date_as_object=True)
    return frame


def judge_quality(workplace: Workplace, product: str) -> Outcome:
    """Check the candidate against its contract with Great Expectations, beside the versions before; counts only leave.

    The profile of the table is kept in the restricted zone: what it says of a version that is published later is the
    history of the versions after it.
    """
    from meddata_pipeline.quality.api import profile, validate
    from meddata_pipeline.quality.gx import write_docs
    from meddata_pipeline.render.figures import bars
    from meddata_pipeline.storage.files import replaced_dir

    earlier = live_versions.beside(workplace, product)
    history = [p for p in (profile_partition(product, v.number) for v in earlier) if workplace.lake.manifest(p)]
    inputs = {
        "table": workplace.manifest(candidate_partition("table", product)).digest,
        "contract": workplace.config_digest(f"products/{product}/contract.yaml"),
        "history": workplace.lake.combined(history),
    }
    partition = candidate_partition("quality", product)
    folder = workplace.settings.zone("quality") / "products" / product
    kept = workplace.kept(partition, inputs)
    if kept is not None and folder.is_dir() and workplace.lake.manifest(candidate_partition("profile", product)):
        return kept
    table, contract = released_frame(workplace, product), contract_of(workplace, product)
    profiles = [workplace.load_object(p) for p in history]
    result = validate(table, contract, engine="gx", history=profiles)
    workplace.keep_object(candidate_partition("profile", product), profile(table, contract), inputs, Outcome(""))
    with replaced_dir(folder) as new:
        write_docs(result, new)
    answer = {**result.as_dict(), "dimensions": result.dimensions()}
    docs = f"{folder.relative_to(workplace.home).as_posix()}/{contract.table}.html"
    past = {v.version: dossier.published_checks(workplace, product, v.version) for v in earlier}
    checks = []
    for name, severity in (("contract_errors", "error"), ("contract_warnings", "warning")):
        failed = [c for c in answer["checks"] if _severe(c, severity) and c["status"] != "passed"]
        facts = {
            "failed": len(failed),
            "errored": sum(c["status"] == "errored" for c in failed),
            "failed_rows": {c["id"]: c["failed_rows"] for c in failed if c["status"] == "failed"},
            "data_docs": docs,
        }
        detail = ", ".join(f"{c['id']} {c['status']}" for c in failed)
        figures = {"trend": _contract_trend({**past, "…": answer["checks"]}, severity)}
        checks.append(Check(name, not failed, severity, "contract", detail, facts, figures))  # type: ignore[arg-type]
    scores = {name: value for name, value in answer["scores"].items() if value is not None}
    figures = {"scores": bars(list(scores), [float(v) for v in scores.values()], title="质量分 Quality scores")}
    facts = {"checks": len(answer["checks"]), "scores": scores}
    return workplace.keep_object(
        partition, answer, inputs, Outcome("", facts=facts, checks=tuple(checks), figures=figures)
    )


def profile_partition(product: str, number: int) -> Partition:
    """Partition of the profile of a published version: aggregates of its table."""
    return Partition("candidate", "released-profile", (product, str(number)))


def _severe(check: Mapping[str, Any], severity: str) -> bool:
    return bool((check["severity"] == "error") == (severity == "error"))


def _contract_trend(versions: Mapping[str, Sequence[Mapping[str, Any]]], severity: str) -> str:
    """Share of the checks that passed, by version; the last is the candidate."""
    from meddata_pipeline.render.figures import trend

    shares: list[float | None] = []
    for checks in versions.values():
        of_it = [c["status"] == "passed" for c in checks if _severe(c, severity)]
        shares.append(sum(of_it) / len(of_it) if of_it else None)
    return trend(list(versions), {severity: shares}, title="通过的检查占比 Share of checks passed")


def study_candidate(workplace: Workplace, product: str) -> Outcome:
    """The same study again on the candidate: what protection cost; results.json and the reports in both languages."""
    from meddata_pipeline.study import report
    from meddata_pipeline.study.api import Associations, measure
    from meddata_pipeline.study.variables import numeric_midpoints

    spec = spec_of(workplace, product)
    inputs = {
        "study": workplace.manifest(_study_partition(spec)).digest,
        "table": workplace.manifest(candidate_partition("table", product)).digest,
        "spec": workplace.config_digest(
            f"products/{spec.cohort_product}/study.yaml", f"products/{product}/product.yaml"
        ),
    }
    partition = candidate_partition("study", product)
    if (kept := workplace.kept(partition, inputs)) is not None:
        return kept
    study = _study_of(workplace, spec)
    policy, _ = policy_of(workplace, product)
    restricted = Associations.from_dict(workplace.load_object(_study_partition(spec)))
    released = measure(numeric_midpoints(released_frame(workplace, product), study), study)
    cohort = workplace.manifest(cohort_partition(spec)).facts["facts"]
    meta = {
        "product": product,
        "title": spec.title.model_dump(),
        "as_of": cohort["as_of"],
        "demo": workplace.keyring.demo,
    }
    results = report.results(study, restricted, released, flow=cohort["flow"], k=policy.k, meta=meta)
    figures = report.figures(results)
    answer = {
        "results": results,
        "html": {lang: report.render_html(results, lang) for lang in ("zh", "en")},
        "figures": figures,
    }
    facts = {"published_estimates": len(results["estimates"])}
    return workplace.keep_object(partition, answer, inputs, Outcome("", facts=facts, figures=figures))


def price(workplace: Workplace, product: str) -> Outcome:
    """The rights statement and the price estimate."""
    from meddata_pipeline.exchange import pricing, rights

    spec = spec_of(workplace, product)
    cohort = workplace.manifest(cohort_partition(spec))
    inputs = {
        "cohort": cohort.digest,
        "quality": workplace.manifest(candidate_partition("quality", product)).digest,
        "offer": workplace.config_digest(f"products/{product}/offer.yaml"),
    }
    partition = candidate_partition("offer", product)
    if (kept := workplace.kept(partition, inputs)) is not None:
        return kept
    offer = offer_of(workplace, product)
    offer.check_product(spec)
    shares = contributions(workplace, product)
    as_of = date.fromisoformat(cohort.facts["facts"]["as_of"])
    scores = workplace.load_object(candidate_partition("quality", product))["scores"]
    known = [float(v) for v in scores.values() if v is not None]
    facts: dict[str, Any] = {"persons": sum(shares.values()), "hospitals": len(shares)}
    if known:
        facts["quality"] = sum(known) / len(known)
    answer = {
        "rights": rights.statement(offer, shares, as_of=as_of),
        "price": pricing.estimate(offer, facts),
    }
    shown = {"price_fen": answer["price"]["point_fen"], "rights_complete": answer["rights"]["complete"]}
    return workplace.keep_object(partition, answer, inputs, Outcome("", facts=shown))


def hospitals_of(workplace: Workplace, spec: ProductSpec) -> list[str]:
    """Hospitals whose records the product's cohort is built from."""
    return sorted({p.keys[0] for p in _deid_of(workplace, spec, "patient")})


def contributions(workplace: Workplace, product: str) -> dict[str, int]:
    """Persons of the cohort by hospital."""
    spec = spec_of(workplace, product)
    table = workplace.lake.read(cohort_partition(spec))
    if "hospital" not in table.column_names:
        owners = hospitals_of(workplace, spec)
        return dict.fromkeys(owners, table.num_rows) if len(owners) == 1 else {}
    counts = table["hospital"].value_counts().to_pylist()
    return {str(c["values"]): int(c["counts"]) for c in sorted(counts, key=lambda c: str(c["values"]))}


_PARTS = ("table", "risk", "quality", "study", "offer")


def _dossier_inputs(workplace: Workplace, product: str) -> dict[str, str]:
    parts = {name: workplace.manifest(candidate_partition(name, product)).digest for name in _PARTS}
    config = [f"products/{product}/{name}.yaml" for name in ("product", "offer", "contract", "privacy")]
    return {**parts, "config": workplace.config_digest(*config)}


def assemble(workplace: Workplace, product: str) -> Outcome:
    """Put together every file that would be published, check the entry, and compute the digest that people sign."""
    from meddata_pipeline.exchange import release
    from meddata_pipeline.exchange.signing import Signer

    spec = spec_of(workplace, product)
    inputs = _dossier_inputs(workplace, product)
    content = digest_of(workplace.stamped(inputs))
    folder = staging(workplace, product)
    partition = candidate_partition("dossier", product)
    kept = workplace.kept(partition, inputs)
    if (
        kept is not None
        and folder.is_dir()
        and (folder / release.MANIFEST).is_file()
        and workplace.load_object(partition)["files"] == release.file_entries(folder)
    ):
        return kept
    version = dossier.version_for(workplace, product, content, contract_of(workplace, product).major)
    files, violations = dossier.write_files(workplace, spec, version, folder)
    entries = release.file_entries(folder)
    shares = contributions(workplace, product)
    cohort = workplace.manifest(cohort_partition(spec)).facts["facts"]
    meta = {
        "product": product,
        "version": version,
        "content_digest": content,
        "candidate_digest": digest_of({"product": product, "version": version, "files": entries}),
        "as_of": cohort["as_of"],
        "hospitals": sorted(shares),
        "persons": dossier.published_count(cohort["persons"]),
        "form": spec.form,
        "access": spec.access,
        "demo": workplace.keyring.demo,
        "publisher_key": Signer.from_keyring(workplace.keyring, "publisher").public,
    }
    answer = {"files": entries, "meta": meta}
    # Beside the files as it will be published: evaluators name a candidate by the digest that the release will have.
    write_atomic(folder / release.MANIFEST, canonical_json(release.manifest(entries, meta)), PUBLIC_FILE)
    checks = (
        Check("entry_conforms", not violations, "error", "entry-violates-shapes", f"{len(violations)} violations"),
        dossier.identifiers_inside(workplace, spec, folder),
    )
    facts = {"version": version, "candidate_digest": meta["candidate_digest"], "files": len(files)}
    return workplace.keep_object(partition, answer, inputs, Outcome("", facts=facts, checks=checks))


def staging(workplace: Workplace, product: str) -> Path:
    """Folder of the files that wait to be published; restricted until they are."""
    return workplace.settings.zone("candidate") / "files" / product


def is_current(workplace: Workplace, product: str) -> bool:
    """Whether every part of the candidate is still up to date, so that only the release needs a look."""
    spec = spec_of(workplace, product)
    if nights.gate(workplace, hospitals_of(workplace, spec)) or _text_reasons(workplace, spec):
        return False
    if workplace.kept(cohort_partition(spec), _cohort_inputs(workplace, spec)) is None:
        return False
    dossier_at = candidate_partition("dossier", product)
    manifest = workplace.lake.manifest(dossier_at)
    if manifest is None or any(workplace.lake.manifest(candidate_partition(n, product)) is None for n in _PARTS):
        return False
    return workplace.kept(dossier_at, _dossier_inputs(workplace, product)) is not None and _inputs_hold(workplace, spec)


def _inputs_hold(workplace: Workplace, spec: ProductSpec) -> bool:
    """Whether each part was made from what is there now."""
    cohort = workplace.manifest(cohort_partition(spec)).digest
    study = workplace.lake.manifest(_study_partition(spec))
    config = workplace.config_digest
    if study is None or study.inputs.get("cohort") != cohort or _kept_table(workplace, spec) is None:
        return False
    return (
        study.inputs.get("study") == config(f"products/{spec.cohort_product}/study.yaml")
        and workplace.lake.manifest(candidate_partition("study", spec.id)).inputs.get("study") == study.digest  # type: ignore[union-attr]
    )
