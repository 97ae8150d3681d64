"""Checks of configuration before anything runs on it: a hospital's profile, and a product's files against each other.

What belongs here: loading all files of one thing and finding where they disagree. What does not: data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from meddata_pipeline.app import candidates, columns, contracts, status
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import Reason

if TYPE_CHECKING:
    from meddata_pipeline.study.spec import Analysis, StudySpec

#: Columns that re-keying adds to a release.
_ADDED = {"row_id"}
_CLASSES = {"quasi": "quasi_identifiers", "sensitive": "sensitive", "other": "insensitive"}
_SPLINE = re.compile(r"ns\((.+),\s*\d+\)")


# -- profiles ----------------------------------------------------------------------------------------------------------


def check_profile(workplace: Workplace, hospital: str) -> dict[str, Any]:
    """Load a hospital's profile, and ask what its deliveries so far have left open.

    Returns:
        ``{"hospital", "tables", "kinds", "open_questions": [{"day", "table", "file", "position", "why", "column"}],
        "doubtful_columns": [{"table", "column", "header", "expected", "seen"}]}``; doubtful are harmless columns that
        are filled from a header that speaks of an identifier.

    Raises:
        ConfigError: the profile is missing or wrong.
    """
    from meddata_pipeline.ingest.profile import load_profile

    profile = load_profile(workplace.config, hospital)
    asked = [
        {
            "day": day,
            "table": w["source_table"],
            "file": w["file"],
            "position": w["position"],
            "why": w["why"],
            "column": w["column"],
        }
        for (h, day), facts in sorted(status.deliveries(workplace.settings).items())
        if h == hospital
        for w in facts["withheld"]
        if w["why"] != "listed"
    ]
    return {
        "hospital": hospital,
        "tables": {
            name: {"kind": t.kind, "delivery": t.delivery, "files": t.files} for name, t in profile.tables.items()
        },
        "kinds": profile.kinds(),
        "open_questions": asked,
        "doubtful_columns": columns.by_header(profile),
    }


# -- products ----------------------------------------------------------------------------------------------------------


def check_product(workplace: Workplace, product: str) -> dict[str, Any]:
    """Load all files of a product and compare them with each other, and its contract with the published one.

    Returns:
        ``{"id", "files", "columns", "reasons": [{"code", "detail", "where"}]}``; no reasons: they agree.

    Raises:
        ConfigError: a file is missing or wrong by itself.
        Refused: the published contract is not the one that was published.
    """
    spec = candidates.spec_of(workplace, product)
    found = [*_columns(workplace, product), *_people(workplace, product)]
    found += contracts.version_reasons(workplace, product)
    names = ("product", "contract", "privacy", "offer")
    files = [f"products/{product}/{name}.yaml" for name in names]
    files += [f"products/{spec.cohort_product}/{name}.yaml" for name in ("cohort", "study")]
    columns = [c.name for c in candidates.contract_of(workplace, product).columns]
    return {"id": product, "files": files, "columns": columns, "reasons": [r.as_dict() for r in found]}


def _columns(workplace: Workplace, product: str) -> Iterator[Reason]:
    """Where cohort, policy, contract and study name different columns."""
    from meddata_pipeline.privacy.policy import load_policy
    from meddata_pipeline.study.cohort import load_cohort
    from meddata_pipeline.study.spec import load_study

    config, spec = workplace.config, candidates.spec_of(workplace, product)
    base = f"products/{product}"
    cohort = {"person_id", *(n for n, v in load_cohort(config, spec.cohort_product).variables.items() if v.keep)}
    policy_file = config.find(f"{base}/privacy.yaml")
    policy = load_policy(policy_file)
    named = [*policy.identifiers, *policy.released_columns]
    for column in named:
        if column not in cohort:
            yield Reason("not-in-cohort", f"Column {column} is listed and not in the cohort", f"{base}/privacy.yaml")
    for column in sorted(cohort - set(named)):
        detail = f"Column {column} of the cohort is not in the policy, so it is withheld; list it or set keep: false"
        yield Reason("not-in-policy", detail, f"{base}/privacy.yaml")
    if policy.unit is not None and policy.unit not in cohort:
        yield Reason("not-in-cohort", f"Column {policy.unit} (unit) is not in the cohort", f"{base}/privacy.yaml")
    hierarchies = {c: q.hierarchy for c, q in policy.quasi_identifiers.items()}
    hierarchies |= {c: s.hierarchy for c, s in policy.sensitive.items()}
    for column, file in hierarchies.items():
        if file is not None and not (policy_file.parent / file).is_file():
            yield Reason("no-hierarchy", f"Column {column}: its hierarchy file is missing", f"{base}/privacy.yaml")
    roles = {c: role for role in _CLASSES.values() for c in getattr(policy, role)}
    contract = {c.name: c for c in candidates.contract_of(workplace, product).columns}
    for name, described in contract.items():
        if name not in roles and name not in _ADDED:
            yield Reason(
                "not-released",
                f"Column {name} is not released by the policy",
                f"{base}/contract.yaml",
            )
        elif name in roles and _CLASSES.get(described.classification) != roles[name]:
            detail = f"Column {name} is {described.classification} here and stands under {roles[name]} in the policy"
            yield Reason("class-differs", detail, f"{base}/contract.yaml")
    for name in sorted(set(roles) - set(contract)):
        yield Reason(
            "not-in-contract",
            f"Column {name} is released and not described",
            f"{base}/contract.yaml",
        )
    study = load_study(config.find(f"products/{spec.cohort_product}/study.yaml"))
    for name in sorted(study_columns(study) - cohort):
        place = f"products/{spec.cohort_product}/study.yaml"
        yield Reason("not-in-cohort", f"Column {name} is in the study and not in the cohort", place)
    for name in sorted(study_columns(study) & cohort - set(roles)):
        detail = f"Column {name} is in the study and not released, so the study cannot be repeated on the release"
        yield Reason("not-released", detail, f"{base}/privacy.yaml")


def study_columns(study: StudySpec) -> set[str]:
    """Columns of the table that a study reads, variables resolved to what they are made of."""
    from meddata_pipeline.core.expression import parse

    seen: set[str] = set()
    columns: set[str] = set()

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        variable = study.variables.get(name)
        if variable is None or (variable.expression is None and variable.source in (None, name)):
            columns.add(name)
        elif variable.expression is not None:
            for used in parse(variable.expression).names():
                visit(used)
        elif variable.source in study.variables:
            visit(str(variable.source))
        else:
            columns.add(str(variable.source))

    for analysis in study.analyses:
        for name in _names(study, analysis):
            visit(name)
    return columns


def _names(study: StudySpec, analysis: Analysis) -> Iterator[str]:
    from meddata_pipeline.core.expression import parse

    outcome = analysis.outcome if analysis.outcome is not None else study.outcome
    if isinstance(outcome, str):
        yield outcome
    elif outcome is not None:
        yield from (str(v) for v in outcome.model_dump().values())
    yield from (n for n in (analysis.exposure or study.exposure, analysis.by, analysis.frequency) if n is not None)
    yield from analysis.exposures or []
    for term in analysis.covariates if analysis.covariates is not None else study.covariates:
        for part in term.split(":"):
            spline = _SPLINE.fullmatch(part.strip())
            yield (spline[1] if spline else part.strip()).removesuffix("^2").strip("`")
    if analysis.subset is not None:
        yield from parse(analysis.subset).names()


def _people(workplace: Workplace, product: str) -> Iterator[Reason]:
    """Whether the offer's roles, and the product's hospitals, exist."""
    from meddata_pipeline.exchange import signoff

    config, spec, offer = (
        workplace.config,
        candidates.spec_of(workplace, product),
        candidates.offer_of(workplace, product),
    )
    roles = signoff.Roles.load(config).roles
    for role in offer.signatures:
        if role not in roles:
            yield Reason("unknown-role", f"Role {role} is not in roles.yaml", f"products/{product}/offer.yaml")
    known = config.hospitals()
    for hospital in spec.hospitals if spec.hospitals != "all" else ():
        if hospital not in known:
            yield Reason("no-profile", f"Hospital {hospital} has no profile", f"products/{product}/product.yaml")
        if hospital not in offer.holders:
            detail = f"Hospital {hospital} is not among the holders, so its rights will be missing"
            yield Reason("no-holder", detail, f"products/{product}/offer.yaml")
