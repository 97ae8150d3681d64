"""The files of a release and the description they share: what a buyer, a reader and an officer find in a version.

What belongs here: which file a form of product has, the parts of its description, the last search for identifiers in
what would be published. What does not: computing a number (candidates), publishing (releases).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import legal
from meddata_pipeline.app.outcome import Check
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import canonical_json, file_sha256
from meddata_pipeline.core.offer import OfferTerms
from meddata_pipeline.core.product import ProductSpec
from meddata_pipeline.core.text import Text
from meddata_pipeline.privacy.policy import load_policy
from meddata_pipeline.storage.files import PUBLIC_FILE, clear_dir, create_if_absent, write_atomic
from meddata_pipeline.storage.lake import Partition

if TYPE_CHECKING:
    from meddata_pipeline.catalog.description import Description

_MEDIA = {
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}
_DIGITS_OF_A_COUNT = 10


def published_count(count: int) -> int:
    """A count as published: rounded down to tens, so that two versions cannot be subtracted to find a person."""
    return count // _DIGITS_OF_A_COUNT * _DIGITS_OF_A_COUNT


def part(workplace: Workplace, name: str, product: str) -> dict[str, Any]:
    """One part of a candidate that is kept as an object."""
    return workplace.load_object(Partition("candidate", name, (product,)))


# -- keys of a candidate -----------------------------------------------------------------------------------------------


def _keys(workplace: Workplace, product: str) -> Path:
    return workplace.settings.zone("keys") / "releases" / product


def random_key(workplace: Workplace, product: str, cohort_digest: str, number: int) -> bytes:
    """The random release key of a candidate, made at first use and sealed under the home's keys.

    Args:
        workplace: the home.
        product: the product's id.
        cohort_digest: of the candidate's cohort.
        number: of the commit that the candidate would have, so that no two versions share a key.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    path = _keys(workplace, product) / f"{number}-{cohort_digest[:32]}.key"
    sealer = AESGCM(workplace.keyring.derive("zone:release-keys"))
    label = f"{product}:{number}:{cohort_digest}".encode()
    if not path.exists():
        nonce = secrets.token_bytes(12)
        create_if_absent(path, nonce + sealer.encrypt(nonce, secrets.token_bytes(32), label))
    sealed = path.read_bytes()
    return sealer.decrypt(sealed[:12], sealed[12:], label)


def destroy_keys(workplace: Workplace, product: str) -> bool:
    """Destroy a product's random keys: that of the published candidate, and of those it has superseded.

    Returns:
        True if there was one.
    """
    paths = sorted(_keys(workplace, product).glob("*.key"))
    for path in paths:
        # Overwritten first: on the file systems that hospitals have, an unlinked block may be read again.
        path.write_bytes(secrets.token_bytes(path.stat().st_size))
        path.unlink()
    return bool(paths)


# -- version -----------------------------------------------------------------------------------------------------------


def version_for(workplace: Workplace, product: str, content: str, major: int) -> str:
    """The version a candidate would carry: that of the last commit if nothing has changed since, else the next."""
    from meddata_pipeline.exchange import release

    last = release.latest(workplace.home, product)
    if last is not None:
        manifest = json.loads(
            (release.product_dir(workplace.home, product) / last.version / release.MANIFEST).read_bytes()
        )
        if manifest.get("content_digest") == content:
            return last.version
    return release.next_version(workplace.home, product, major)


# -- files -------------------------------------------------------------------------------------------------------------


def write_files(
    workplace: Workplace, spec: ProductSpec, version: str, folder: Path
) -> tuple[list[str], list[dict[str, str]]]:
    """Write every file that would be published into a fresh folder.

    Returns:
        Paths of the files, and violations of the catalogue entry.
    """
    from meddata_pipeline.catalog import site, validation
    from meddata_pipeline.catalog.exporters import dcat_ap

    clear_dir(folder)
    for name, data in _contents(workplace, spec, version).items():
        write_atomic(folder / name, data, PUBLIC_FILE)
    description = describe(workplace, spec, version, folder)
    graph = dcat_ap.to_graph(description)
    write_atomic(folder / site.ENTRY_TURTLE, dcat_ap.to_turtle(graph), PUBLIC_FILE)
    write_atomic(folder / site.ENTRY_JSONLD, dcat_ap.to_jsonld(graph), PUBLIC_FILE)
    write_atomic(folder / site.DESCRIPTION, description.to_json(), PUBLIC_FILE)
    found = validation.violations(validation.validate(graph))
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()), found


def _contents(workplace: Workplace, spec: ProductSpec, version: str) -> dict[str, bytes]:
    from meddata_pipeline.app import evaluation
    from meddata_pipeline.app.candidates import contract_of
    from meddata_pipeline.privacy import risk_report
    from meddata_pipeline.quality import report

    product = spec.id
    study, offer = part(workplace, "study", product), part(workplace, "offer", product)
    risk = part(workplace, "risk", product)
    policy = workplace.config.find(f"products/{product}/privacy.yaml")
    as_of, demo = study["results"]["as_of"], workplace.keyring.demo
    names = {column.name: column.title for column in contract_of(workplace, product).columns}
    label = legal.label_of(workplace, product)
    files = {
        "results.json": _json(study["results"]),
        "risk.json": _json(risk_report.published(risk, policy=policy)),
        "price.json": canonical_json(offer["price"]),
        "rights.json": canonical_json(offer["rights"]),
        "contract.yaml": workplace.config.find(f"products/{product}/contract.yaml").read_bytes(),
        "codebook.json": _json(codebook(workplace, product)),
    }
    for lang in ("zh", "en"):
        files[f"report.{lang}.html"] = study["html"][lang].encode()
        files[f"risk.{lang}.html"] = risk_report.render(
            risk,
            policy=policy,
            title=spec.title,
            lang=lang,
            as_of=as_of,
            names=names,
            demo=demo,
            translation=f"risk.{'en' if lang == 'zh' else 'zh'}.html",
            label=label,
        ).encode()
    for name, svg in study["figures"].items():
        files[f"figures/{name}.svg"] = svg.encode()
    if spec.form == "microdata":
        files["data.parquet"] = parquet(workplace, product)
    else:
        files["aggregates.csv"] = _aggregates(workplace, product, study["results"])
    quality = evaluation.own_evaluation(workplace, product, version, files)
    return {**files, "quality.json": _json(quality), **report.files(quality["evaluation"])}


def _json(obj: Any) -> bytes:
    return json.dumps(obj, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def parquet(workplace: Workplace, product: str) -> bytes:
    """The candidate's rows as the file that is handed over; the same bytes for the same rows."""
    import io

    import pyarrow.parquet as pq

    table = workplace.lake.read(Partition("candidate", "table", (product,)))
    sink = io.BytesIO()
    # No statistics: a page's minimum and maximum say nothing that the data do not, but they outlive a redaction.
    pq.write_table(table, sink, compression="zstd", write_statistics=False, store_schema=False)
    return sink.getvalue()


def _aggregates(workplace: Workplace, product: str, results: Mapping[str, Any]) -> bytes:
    from meddata_pipeline.disclosure.aggregates import aggregates

    table = workplace.lake.read(Partition("candidate", "table", (product,))).to_pandas()
    policy = load_policy(workplace.config.find(f"products/{product}/privacy.yaml"))
    limit = int(results["disclosure"]["limit"])
    return aggregates(table, list(policy.quasi_identifiers), str(results["outcome"]), limit)


def codebook(workplace: Workplace, product: str) -> list[dict[str, Any]]:
    """One entry per released column, from the contract, and one per withheld column with its reason."""
    from meddata_pipeline.app.candidates import contract_of

    policy = load_policy(workplace.config.find(f"products/{product}/privacy.yaml"))
    entries = [column.as_dict() for column in contract_of(workplace, product).columns]
    reason = {"zh": "直接标识，发布时换为行号", "en": "Identifies a person; replaced by a row id of this version"}
    return [*entries, *({"name": name, "withheld": reason} for name in policy.identifiers)]


# -- description -------------------------------------------------------------------------------------------------------


def describe(workplace: Workplace, spec: ProductSpec, version: str, folder: Path) -> Description:
    """The description of what lies in a folder, from the candidate's parts."""
    from meddata_pipeline.app import candidates
    from meddata_pipeline.catalog.description import build

    product = spec.id
    study, offer = part(workplace, "study", product), part(workplace, "offer", product)
    risk, quality = part(workplace, "risk", product), part(workplace, "quality", product)
    cohort = workplace.manifest(candidates.cohort_partition(spec)).facts["facts"]
    texts = _texts()
    terms = candidates.offer_of(workplace, product)
    after = risk["after"]
    policy = load_policy(workplace.config.find(f"products/{product}/privacy.yaml"))
    rows = published_count(int(after["rows"])) if spec.form == "microdata" else None
    price = offer["price"]
    label, reason = legal.label_of(workplace, product)
    parts: dict[str, Any] = {
        "id": product,
        "version": version,
        "title": spec.title.model_dump(),
        "description": spec.description.model_dump(),
        "keywords": [k.model_dump() for k in spec.keywords],
        "theme": spec.theme,
        "publisher": spec.publisher.model_dump(),
        "contact": spec.contact.model_dump(),
        "form": spec.form,
        "access": spec.access,
        "as_of": cohort["as_of"],
        "hospitals": len(candidates.contributions(workplace, product)),
        "persons": published_count(int(cohort["persons"])),
        "rows": rows,
        "columns": _columns(workplace, product) if spec.form == "microdata" else [],
        "files": _files(folder, texts),
        "figures": [
            {"path": f"figures/{name}.svg", "title": texts["figures"][name], "alt": texts["figures"][name]}
            for name in sorted(study["figures"])
            if name in texts["figures"]
        ],
        "quality": quality["dimensions"],
        "risk": {
            "k": policy.k,
            "highest": float(after["prosecutor"]["highest"]),
            "average": float(after["marketer"]["success_rate"]),
            "threshold": policy.risk.threshold,
            "classes": int(after["classes"]),
        },
        "price": {
            "low": price["low_fen"],
            "high": price["high_fen"],
            "basis": texts["price_basis"],
            "items": [
                {"title": b["title"], "fen": b["amount_fen"], "reason": texts["price_reason"]}
                for b in price["breakdown"]
            ],
        },
        "spatial": spec.spatial,
        "licence": texts["licence"],
        "terms": [t.model_dump() for t in _terms(terms)],
        "legal_label": label.model_dump(),
        "legal_reason": reason.model_dump(),
        "demo": workplace.keyring.demo,
        "effects": _effects(study["results"]),
        "steps": _steps(workplace, spec, texts),
    }
    return build(parts)


def _texts() -> dict[str, Any]:
    from importlib import resources

    import yaml

    source = resources.files("meddata_pipeline.app").joinpath("texts.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(source)
    return loaded


def _columns(workplace: Workplace, product: str) -> list[dict[str, Any]]:
    shown = []
    for entry in codebook(workplace, product):
        known = ("name", "type", "title", "unit", "classification", "codes", "withheld")
        column = {k: v for k, v in entry.items() if k in known and v is not None}
        shown.append({"type": "string", **column})
    return shown


def _files(folder: Path, texts: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        role, lang = _role(name)
        files.append(
            {
                "path": name,
                "media_type": _MEDIA[path.suffix],
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
                "title": texts["files"].get(name, texts["files"].get(role, {"zh": name, "en": name})),
                "role": role,
                "lang": lang,
            }
        )
    return files


def _role(name: str) -> tuple[str, str | None]:
    stem = name.split(".")[0]
    roles = {"report": "report", "results": "results", "risk": "risk", "quality": "quality", "codebook": "codebook"}
    lang = next((p for p in name.split(".")[1:-1] if p in ("zh", "en")), None)
    if name.startswith("figures/"):
        return "figure", None
    if stem == "data":
        return "data", None
    if stem == "aggregates":
        return "aggregate", None
    return roles.get(stem, "other"), lang


def _terms(offer: OfferTerms) -> list[Text]:
    terms = offer.terms
    months = Text(zh=f"期限 {terms.months} 个月，非独占", en=f"Term: {terms.months} months, non-exclusive")
    passing = Text(zh="不得再分发，不得重识别", en="No redistribution, no re-identification")
    place = ", ".join(terms.territory)
    return [*terms.purposes, months, Text(zh=f"地域：{place}", en=f"Territory: {place}"), passing, *terms.other]


def _effects(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    titles = {
        "adjusted": {"zh": "调整后比值比", "en": "Adjusted odds ratio"},
        "crude": {"zh": "粗比值比", "en": "Crude odds ratio"},
    }
    shown = []
    for phase, key in (("cohort", "estimates"), ("release", "release_estimates")):
        for wanted, title in titles.items():
            for e in results[key]:
                if e["analysis"] == wanted and e["measure"] == "or" and e["term"] == results["exposure"]:
                    shown.append(
                        {
                            "id": e["id"],
                            "title": title,
                            "measure": "or",
                            "estimate": _finite(e["estimate"]),
                            "low": _finite(e["low"]),
                            "high": _finite(e["high"]),
                            "phase": phase,
                        }
                    )
    return shown


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _steps(workplace: Workplace, spec: ProductSpec, texts: Mapping[str, Any]) -> list[dict[str, Any]]:
    from meddata_pipeline.app import candidates

    cohort = workplace.manifest(candidates.cohort_partition(spec)).facts["facts"]["balance"]
    made = workplace.manifest(Partition("candidate", "table", (spec.id,))).facts["facts"]["balance"]
    counts = {"cohort": cohort, "candidate": made}
    steps = []
    for name in ("landing", "records", "deid", "cohort", "candidate", "release"):
        step: dict[str, Any] = {"id": name, **texts["steps"][name]}
        if name in counts:
            step["rows_in"] = published_count(counts[name]["rows_in"])
            step["rows_out"] = published_count(counts[name]["rows_out"])
        steps.append(step)
    return steps


# -- the last search ---------------------------------------------------------------------------------------------------


_TOKEN = re.compile(r"[0-9A-Za-z]{7,}")


def identifiers_inside(workplace: Workplace, spec: ProductSpec, folder: Path) -> Check:
    """Search everything that would be published for identifiers known of any person of the product's hospitals.

    The last gate before people are asked to sign; it shares no code with the steps that took the identifiers out.
    Numbers are looked for in every file, PDF included. Names are looked for as whole cells of the data, because two
    characters of a name also occur in ordinary sentences.
    """
    from meddata_pipeline.app.candidates import hospitals_of
    from meddata_pipeline.app.nights import identities_of

    files = sorted(p for p in folder.rglob("*") if p.is_file())
    tokens: set[str] = set()
    cells: set[str] = set()
    for path in files:
        if path.suffix == ".parquet":
            cells |= _cells(path)
        else:
            tokens |= set(
                _TOKEN.findall(_pdf_text(path) if path.suffix == ".pdf" else path.read_text(encoding="utf-8"))
            )
    tokens |= {token for cell in cells for token in _TOKEN.findall(cell)}
    found = 0
    for hospital in hospitals_of(workplace, spec):
        known = identities_of(workplace, hospital).table
        numbers = {n for n in known["patient_no"].to_pylist() if n}
        for column in ("resident_id", "insurance_no", "mobile", "phone", "contact_mobile"):
            numbers |= {v for values in known[column].to_pylist() for v in values or ()}
        names = {v for c in ("name", "contact_name", "address") for vs in known[c].to_pylist() for v in vs or ()}
        found += len(tokens & numbers) + len(cells & names)
    detail = f"{found} known identifiers in {len(files)} files"
    return Check("no_identifier_inside", found == 0, "error", "identifier-in-release", detail, {"files": len(files)})


def _pdf_text(path: Path) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def _cells(path: Path) -> set[str]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {str(v) for column in table.columns for v in pc.unique(column).to_pylist() if v is not None}
