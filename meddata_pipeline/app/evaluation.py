"""Evaluations of products: the publisher's own, a third party's, and whether they let a version be published.

What belongs here: evaluating a release folder on the evaluator's machine, placing attestations beside a product, the
gate before publication. What does not: rules and reports (quality), the credential (exchange.attestation).

Attestations lie in ``<home>/products/<id>/attestations/<version>/``: ``self.json`` is the publisher's self-assessment,
``independent-<key>.json`` a third party's. They name a release by its digest, so they stand beside it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meddata_pipeline.core.canonical import file_sha256, sha256_hex
from meddata_pipeline.core.errors import BadInput, Reason, Refused
from meddata_pipeline.storage.files import PUBLIC_FILE, write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from meddata_pipeline.app.workplace import Workplace
    from meddata_pipeline.exchange.attestation import Attestation
    from meddata_pipeline.quality.evaluation import Kind

SELF = "self.json"
EVALUATOR_ROLE = "quality-evaluator"
DATA = "data.parquet"
CONTRACT = "contract.yaml"
_RESULTS = "quality.json"
_LONGEST = {"--reservation": 600, "--name": 80}


# -- a third party, on its own machine ---------------------------------------------------------------------------------


def _intact(release: Path) -> dict[str, Any]:
    """The manifest of a folder whose files are exactly those it lists; its signature holds where it has one."""
    from meddata_pipeline.exchange import bundle
    from meddata_pipeline.exchange.release import MANIFEST, SIGNATURE, file_entries
    from meddata_pipeline.exchange.signing import read_canonical

    try:
        manifest: dict[str, Any] = read_canonical((release / MANIFEST).read_bytes())
        listed = {entry["path"]: {"sha256": entry["sha256"], "bytes": entry["bytes"]} for entry in manifest["files"]}
    except OSError:
        raise BadInput(
            "The folder holds no manifest of a release", where="RELEASE", next_step="Unpack the bundle first"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise BadInput("The manifest of the release is malformed", where="RELEASE") from None
    actual = file_entries(release)
    odd = sorted(path for path in {*listed, *actual} if listed.get(path) != actual.get(path))
    problems = [Reason("release-damaged", "Missing, added or changed", path) for path in odd]
    if not problems and (release / SIGNATURE).exists():  # a candidate has none yet
        failed = [c for c in bundle.verify(release)["checks"] if c["status"] == "failed"]
        problems = [Reason("release-damaged", c["detail"], c["id"]) for c in failed]
    if problems:
        raise Refused("The release is not what its manifest says; nothing was evaluated", reasons=problems)
    return manifest


def _holders(release: Path, manifest: dict[str, Any]) -> set[str]:
    """Public keys of those who have rights in a release, as far as its folder and what lies beside it tell."""
    from meddata_pipeline.exchange.release import SIGNATURE

    beside = release.parent
    envelopes = [release / SIGNATURE, beside / "bundle.json", beside / "agreement.json"]
    signoffs = [*beside.glob("signoffs/*.json"), *beside.glob("signoffs/*/*.json")]
    keys = {str(manifest.get("publisher_key", ""))}
    for path in [*envelopes, *(p for p in signoffs if p.stem != EVALUATOR_ROLE)]:
        try:
            keys.add(str(json.loads(path.read_bytes())["key"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return keys


def _table(release: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (release / DATA).is_file():
        raise BadInput(
            "The release holds no rows to evaluate",
            where=DATA,
            next_step="Evaluate the product that its rows are released with",
        )
    try:
        frame: pd.DataFrame = pq.read_table(release / DATA).to_pandas(date_as_object=True)
    except (pa.ArrowException, OSError, ValueError):
        raise BadInput("The table of the release cannot be read", where=DATA) from None
    return frame


def _limit(text: str, option: str) -> str:
    if len(text) > _LONGEST[option]:
        raise BadInput(f"The text is longer than {_LONGEST[option]} characters", where=option)
    return text.strip()


def _reproduced(published: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Which of the publisher's results the evaluator's engine finds again."""
    found = {c["id"]: (c["status"], c["failed_rows"]) for c in own["checks"]}
    stated = {c["id"]: (c["status"], c["failed_rows"]) for c in published["checks"]}
    differ = sorted(name for name, result in stated.items() if found.get(name) != result)
    return {"checks": len(stated), "differ": differ}


def evaluate(
    release: Path,
    key: Path,
    *,
    rules: Path | None = None,
    out: Path | None = None,
    reservations: Sequence[str] = (),
    name: str = "",
    months: int = 12,
    today: date | None = None,
) -> dict[str, Any]:
    """The whole of ``meddata evaluate``: a third party's evaluation of a release or a candidate; needs no home.

    Args:
        release: version folder, candidate folder or unpacked bundle.
        key: PEM file of the evaluator's own Ed25519 key.
        rules: extra rules, see quality.extra.
        out: folder for the reports and attestation.json; by default ``evaluation-<product>-<version>`` here.
        reservations: in the evaluator's words.
        name: of the evaluator.
        months: how long the attestation holds.
        today: first day on which it holds; by default today.

    Returns:
        ``{"product", "version", "release_digest", "passed", "score", "scores", "counts", "reproduced", "issuer",
        "attestation", "reports", "reasons"}``.

    Raises:
        BadInput: a file is missing or wrong, or the release holds no rows.
        Refused: the release is damaged, or the key belongs to somebody with rights in it.
    """
    from meddata_pipeline.exchange.attestation import attest
    from meddata_pipeline.exchange.credentials import did_key
    from meddata_pipeline.exchange.release import MANIFEST
    from meddata_pipeline.exchange.signing import Signer, load_private_key
    from meddata_pipeline.quality import report
    from meddata_pipeline.quality.api import validate
    from meddata_pipeline.quality.evaluation import evaluation
    from meddata_pipeline.quality.extra import contract_with

    release = release / "release" if (release / "release" / MANIFEST).is_file() else release
    manifest = _intact(release)
    signer = Signer(load_private_key(key))
    if signer.public in _holders(release, manifest):
        reason = Reason("rights-holder", "The key belongs to somebody with rights in this release", "--key")
        raise Refused("Who has rights in a release cannot evaluate it independently", reasons=[reason])
    words = [_limit(text, "--reservation") for text in reservations if text.strip()]
    _limit("".join(words), "--reservation")
    called = _limit(name, "--name") or did_key(signer.public)[-16:]
    contract = contract_with(release / CONTRACT, rules)
    # Another engine than the publisher's: what both find does not hang on one of them.
    result = validate(_table(release), contract, engine="duckdb")
    published = json.loads((release / _RESULTS).read_bytes())
    before = published.get("evaluation", {})
    files = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    used = [{"path": CONTRACT, "sha256": files[CONTRACT]}]
    if rules is not None:
        used.append({"path": rules.name, "sha256": file_sha256(rules)})
    found = evaluation(
        result.as_dict(),
        product=manifest["product"],
        title=before.get("title", {"zh": manifest["product"], "en": manifest["product"]}),
        version=manifest["version"],
        as_of=manifest["as_of"],
        data=[{"path": DATA, "sha256": files[DATA]}],
        rules=used,
        columns=[column.name for column in contract.columns],
        evaluator={"name": {"zh": called, "en": called}, "key": did_key(signer.public)},
        kind="independent",
        reservations=words,
        earlier=before.get("trend", [])[:-1],
        reproduced=_reproduced(published, result.as_dict()),
        demo=bool(manifest.get("demo", False)),
    )
    folder = out or Path(f"evaluation-{manifest['product']}-{manifest['version']}")
    reports = report.files(found)
    for file, data in reports.items():
        write_atomic(folder / file, data, PUBLIC_FILE)
    digest = file_sha256(release / MANIFEST)
    signed = attest(
        found,
        release_digest=digest,
        reports={file: sha256_hex(data) for file, data in reports.items()},
        signer=signer,
        valid_from=today or datetime.now(UTC).date(),
        months=months,
    )
    write_atomic(folder / "attestation.json", signed, PUBLIC_FILE)
    stated = ("product", "version", "passed", "score", "scores", "counts", "reproduced")
    return {
        **{field: found[field] for field in stated},
        "release_digest": digest,
        "issuer": did_key(signer.public),
        "attestation": str(folder / "attestation.json"),
        "reports": [str(folder / file) for file in sorted(reports)],
        "reasons": [r.as_dict() for r in result.reasons()],
    }


# -- the publisher's own -----------------------------------------------------------------------------------------------


def own_evaluation(workplace: Workplace, product: str, version: str, files: dict[str, bytes]) -> dict[str, Any]:
    """The publisher's evaluation of a candidate: what its report shows.

    Args:
        workplace: the home.
        product: the product's id.
        version: that the candidate would carry.
        files: the candidate's files so far, to name the table and the contract by their digests.
    """
    from meddata_pipeline.app import candidates, dossier
    from meddata_pipeline.disclosure.cells import small_cell_limit
    from meddata_pipeline.exchange import release
    from meddata_pipeline.quality.evaluation import evaluation, without_small_counts

    spec = candidates.spec_of(workplace, product)
    quality = dossier.part(workplace, "quality", product)
    if DATA in files:
        data = {"path": DATA, "sha256": sha256_hex(files[DATA])}
    else:
        limit = small_cell_limit(candidates.policy_of(workplace, product)[0].k)
        quality = without_small_counts(quality, limit)
        table = workplace.manifest(candidates.candidate_partition("table", product)).digest
        data = {"path": "(rows not released)", "sha256": table}
    earlier = []
    for made in release.commits(workplace.home, product):
        path = release.product_dir(workplace.home, product) / made.version / _RESULTS
        if made.version != version and path.is_file():
            scores = json.loads(path.read_bytes())["scores"]
            earlier.append({"version": made.version, "as_of": made.as_of, "scores": scores})
    kind: Kind = "self-assessment"
    found = evaluation(
        quality,
        product=product,
        title=spec.title.model_dump(),
        version=version,
        as_of=str(workplace.manifest(candidates.cohort_partition(spec)).facts["facts"]["as_of"]),
        data=[data],
        rules=[{"path": CONTRACT, "sha256": sha256_hex(files[CONTRACT])}],
        columns=[column.name for column in candidates.contract_of(workplace, product).columns],
        evaluator={"name": spec.publisher.name.model_dump(), "key": ""},
        kind=kind,
        earlier=earlier,
        demo=workplace.keyring.demo,
    )
    return {**quality, "evaluation": found}


def attestation_dir(home: Path, product: str, version: str) -> Path:
    """The folder of a version's attestations; the version need not be published yet."""
    return home / "products" / product / "attestations" / version


def self_assess(workplace: Workplace, product: str) -> None:
    """Sign the publisher's own evaluation of a candidate and keep it beside; again changes nothing."""
    from meddata_pipeline.app import candidates
    from meddata_pipeline.exchange.attestation import attest
    from meddata_pipeline.exchange.release import MANIFEST
    from meddata_pipeline.exchange.signing import Signer

    folder = candidates.staging(workplace, product)
    manifest = (folder / MANIFEST).read_bytes()
    listed = {entry["path"]: entry["sha256"] for entry in json.loads(manifest)["files"]}
    found = json.loads((folder / _RESULTS).read_bytes())["evaluation"]
    signed = attest(
        found,
        release_digest=sha256_hex(manifest),
        reports={path: digest for path, digest in listed.items() if _is_report(path)},
        signer=Signer.from_keyring(workplace.keyring, "publisher"),
        valid_from=date.fromisoformat(found["as_of"]),
        months=candidates.offer_of(workplace, product).quality.valid_months,
    )
    path = attestation_dir(workplace.home, product, found["version"]) / SELF
    if not path.exists() or path.read_bytes() != signed:
        write_atomic(path, signed, PUBLIC_FILE)


def _is_report(path: str) -> bool:
    return path.startswith("quality.") and path.endswith((".html", ".pdf"))


# -- placing and judging -----------------------------------------------------------------------------------------------


def _candidate(workplace: Workplace, product: str) -> tuple[str, str] | None:
    """Version and release digest of the product's candidate, or None; read without any key."""
    from meddata_pipeline.app import candidates
    from meddata_pipeline.exchange.release import MANIFEST

    path = candidates.staging(workplace, product) / MANIFEST
    if not path.is_file():
        return None
    data = path.read_bytes()
    return str(json.loads(data)["version"]), sha256_hex(data)


def _trusted(workplace: Workplace, found: Attestation) -> tuple[bool, bool]:
    """Whether a key is a registered evaluator's, and whether it is free of any other role."""
    from meddata_pipeline.exchange.signing import Signer
    from meddata_pipeline.exchange.signoff import Roles

    roles = Roles.load(workplace.config).roles
    evaluators = roles[EVALUATOR_ROLE].keys if EVALUATOR_ROLE in roles else []
    others = {key for role, entry in roles.items() if role != EVALUATOR_ROLE for key in entry.keys}
    others.add(Signer.from_keyring(workplace.keyring, "publisher").public)
    return found.issuer in evaluators, found.issuer not in others


def _problems(workplace: Workplace, path: Path, digest: str, product: str, now: datetime) -> list[Reason]:
    """Why an attestation does not let a release out; empty where it does."""
    from meddata_pipeline.exchange.attestation import Tampered, holds, read

    where = f"{product} {path.name}"
    try:
        found = read(path.read_bytes())
    except Tampered:
        return [Reason("attestation-tampered", "The attestation's signature does not hold", where)]
    except ValueError:
        return [Reason("attestation-malformed", "The file is no attestation of a quality evaluation", where)]
    registered, free = _trusted(workplace, found)
    states = [
        (found.kind == "independent", "attestation-not-independent", "It is a self-assessment"),
        (registered, "attestation-unknown-issuer", f"Its key is not registered in roles.yaml for {EVALUATOR_ROLE}"),
        (free, "attestation-by-rights-holder", "Its key has another role too, or is the publisher's"),
        (found.release_digest == digest, "attestation-of-other-data", "It was made for other data"),
        (
            holds(found, now),
            "attestation-expired",
            f"It holds from {found.valid_from.date()} until {found.valid_until.date()}",
        ),
        (found.passed, "evaluation-failed", "The evaluator found blocking rules that are not met"),
    ]
    return [Reason(code, detail, where) for good, code, detail in states if not good]


def gate(workplace: Workplace, product: str, now: datetime | None = None) -> list[Reason]:
    """Why the attestations beside a product do not let its candidate be published; empty where they do.

    Every attestation that lies in the folder of a version that is not published yet counts: one of other data, an
    expired or an invalid one blocks, since people would take the release for the one that was evaluated.

    Args:
        workplace: the home.
        product: with a candidate.
        now: time to judge expiry by; by default now.
    """
    from meddata_pipeline.app import candidates
    from meddata_pipeline.exchange import release

    candidate = _candidate(workplace, product)
    if candidate is None:
        return []
    published = {made.version for made in release.commits(workplace.home, product)}
    waiting = [
        path
        for path in sorted((workplace.home / "products" / product / "attestations").glob("*/*.json"))
        if path.parent.name not in published and path.name != SELF
    ]
    moment = now or datetime.now(UTC)
    reasons = [r for path in waiting for r in _problems(workplace, path, candidate[1], product, moment)]
    if not waiting and candidates.offer_of(workplace, product).quality.evaluation == "independent":
        detail = "The offer asks for an independent evaluation, and no attestation has been placed"
        return [Reason("missing-evaluation", detail, product)]
    return reasons


def place(workplace: Workplace, product: str, file: Path, now: datetime | None = None) -> dict[str, Any]:
    """Put an evaluator's attestation beside the candidate or the published version it is about.

    Args:
        workplace: the home.
        product: the product's id.
        file: the attestation.
        now: time to judge expiry by; by default now.

    Returns:
        ``{"product", "version", "published", "issuer", "evaluator", "passed", "file", "next_command"}``.

    Raises:
        BadInput: the file cannot be read, or the product has neither candidate nor release.
        Refused: it is of other data, expired, invalid or by somebody who may not evaluate this product.
    """
    from meddata_pipeline.app import candidates, status
    from meddata_pipeline.exchange import release
    from meddata_pipeline.exchange.attestation import read
    from meddata_pipeline.exchange.credentials import did_key
    from meddata_pipeline.exchange.signing import fingerprint

    status.require_home(workplace.settings)
    candidates.spec_of(workplace, product)
    if not file.is_file():
        raise BadInput("The attestation cannot be read", where="FILE")
    made = {commit.digest: commit.version for commit in release.commits(workplace.home, product)}
    candidate = _candidate(workplace, product)
    known = dict(made) if candidate is None else {candidate[1]: candidate[0], **made}
    if not known:
        raise BadInput("There is no candidate of this product", where=product, next_step="Run `meddata run` first")
    try:
        digest = read(file.read_bytes()).release_digest
    except ValueError:
        digest = ""
    reasons = _problems(workplace, file, digest if digest in known else "", product, now or datetime.now(UTC))
    # What the evaluator found wrong is placed too: the gate then says why nothing is published.
    if refused := [r for r in reasons if r.code != "evaluation-failed"]:
        raise Refused("The attestation does not fit this product", reasons=refused, where=product)
    found = read(file.read_bytes())
    version = known[digest]
    target = attestation_dir(workplace.home, product, version) / f"independent-{fingerprint(found.issuer)}.json"
    write_atomic(target, file.read_bytes(), PUBLIC_FILE)
    command = "meddata catalog build" if digest in made else f"meddata run --product {product}"
    return {
        "product": product,
        "version": version,
        "published": digest in made,
        "issuer": did_key(found.issuer),
        "evaluator": found.name,
        "passed": found.passed,
        "file": target.relative_to(workplace.home).as_posix(),
        "next_command": command,
    }


def withdraw(workplace: Workplace, product: str) -> dict[str, Any]:
    """Take away every third party's attestation that waits for a version not published yet.

    Returns:
        ``{"product", "removed"}``: paths below the home.
    """
    from meddata_pipeline.app import candidates, status
    from meddata_pipeline.exchange import release

    status.require_home(workplace.settings)
    candidates.spec_of(workplace, product)
    published = {made.version for made in release.commits(workplace.home, product)}
    removed = []
    for folder in sorted((workplace.home / "products" / product / "attestations").glob("*")):
        if folder.name not in published:
            removed += [p.relative_to(workplace.home).as_posix() for p in folder.glob("*.json") if p.name != SELF]
            shutil.rmtree(folder)
    return {"product": product, "removed": sorted(removed)}


def shown(workplace: Workplace, product: str, version: str) -> list[dict[str, Any]]:
    """The attestations of a published version that hold together, for its page: the publisher's own first.

    Returns:
        ``{"kind", "name", "path", "valid_until", "passed"}`` each; path below ``products/<id>/``.
    """
    from meddata_pipeline.exchange import release
    from meddata_pipeline.exchange.attestation import read

    made = release.find_version(workplace.home, product, version)
    items = []
    paths = attestation_dir(workplace.home, product, version).glob("*.json")
    for path in sorted(paths, key=lambda p: (p.name != SELF, p.name)):
        try:
            found = read(path.read_bytes())
        except ValueError:
            continue
        own = found.kind == "self-assessment" and found.issuer == made.key
        fits = own if path.name == SELF else all(_trusted(workplace, found)) and found.kind == "independent"
        if fits and found.release_digest == made.digest:
            items.append(
                {
                    "kind": found.kind,
                    "name": found.name,
                    "path": f"attestations/{version}/{path.name}",
                    "valid_until": found.valid_until.date().isoformat(),
                    "passed": found.passed,
                }
            )
    return items
