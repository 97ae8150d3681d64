"""The data quality evaluation (数据质量评估) of one table as JSON: what the report shows and an attestation states.

What belongs here: counting verdicts by dimension, severity and place in Kahn's frame, and saying what was not
evaluated. What does not: running checks (api.py), pages (report.py), signatures (exchange.attestation). Counts only:
everything in here may be published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from meddata_pipeline.disclosure.cells import masked_count
from meddata_pipeline.quality.checks import DIMENSIONS, WEIGHTS

Kind = Literal["self-assessment", "independent"]

CATEGORIES = ("conformance", "completeness", "plausibility")
CONTEXTS = ("verification", "validation")
SEVERITIES = tuple(WEIGHTS)
STATUSES = ("passed", "failed", "errored")

# Where a check stands in the frame of Kahn et al. 2016 (eGEMs 4(1):18) when it does not say so itself.
_CATEGORY_OF_KIND = {"row-count": "completeness", "null": "completeness", "missing": "completeness"}
_CATEGORY_OF_KIND |= dict.fromkeys(("schema", "valid-values", "pattern", "duplicate"), "conformance")


def place(check: Mapping[str, Any]) -> tuple[str, str]:
    """Category and context of a check in Kahn's frame."""
    own = check.get("kahn")
    kahn: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
    category = kahn.get("category") or _CATEGORY_OF_KIND.get(str(check["kind"]), "plausibility")
    return str(category), str(kahn.get("context") or "verification")


def _weight(checks: Sequence[Mapping[str, Any]]) -> int:
    return sum(WEIGHTS[check["severity"]] for check in checks)


def _passed(checks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [check for check in checks if check["status"] == "passed"]


def _tally(checks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counted = {status: sum(check["status"] == status for check in checks) for status in STATUSES}
    return {"checks": len(checks), **counted}


def without_small_counts(quality: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The results of a table whose rows are not released: small numbers of rows tell about persons there.

    Args:
        quality: as ``QualityResult.as_dict`` gives it.
        limit: the small-cell limit.

    Returns:
        The same with rows rounded down to tens, failed rows below the limit as ``<limit``, and without measured values.
    """
    checks = [
        {**{k: v for k, v in check.items() if k not in ("value", "applicable_rows")}, "failed_rows": failed}
        for check in quality["checks"]
        for failed in [masked_count(int(check["failed_rows"]), limit)]
    ]
    return {**quality, "rows": int(quality["rows"]) // 10 * 10, "checks": checks}


def _not_evaluated(checks: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """What the numbers leave open: ids of texts with what they need."""
    open_questions: list[dict[str, Any]] = []
    measured = {check["dimension"] for check in checks}
    if lacking := [name for name in DIMENSIONS if name not in measured]:
        open_questions.append({"id": "dimensions", "names": lacking})
    checked = {column for check in checks for column in check["columns"]}
    if unchecked := [name for name in columns if name not in checked]:
        open_questions.append({"id": "columns", "names": unchecked})
    if errored := sum(check["status"] == "errored" for check in checks):
        open_questions.append({"id": "errored", "count": errored})
    if not any(place(check)[1] == "validation" for check in checks):
        open_questions.append({"id": "validation"})
    return [*open_questions, {"id": "source"}, {"id": "protection"}, {"id": "fitness"}]


def evaluation(
    quality: Mapping[str, Any],
    *,
    product: str,
    title: Mapping[str, str],
    version: str,
    as_of: str,
    data: Sequence[Mapping[str, str]],
    rules: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    evaluator: Mapping[str, Any],
    kind: Kind,
    reservations: Sequence[str] = (),
    earlier: Sequence[Mapping[str, Any]] = (),
    reproduced: Mapping[str, Any] | None = None,
    demo: bool = False,
) -> dict[str, Any]:
    """Put an evaluation together.

    Args:
        quality: results, as ``QualityResult.as_dict`` (or :func:`without_small_counts`) gives them.
        product: its id.
        title: of the product, zh and en.
        version: of the product.
        as_of: day of the newest delivery, ISO.
        data: ``{"path", "sha256"}`` of what was evaluated.
        rules: ``{"path", "sha256"}`` of the files that hold the rules.
        columns: of the table, to find those that no rule looks at.
        evaluator: ``{"name": {"zh", "en"}, "key"}``; key as text, or empty.
        kind: who evaluates: the publisher itself, or somebody independent of it.
        reservations: in the evaluator's words.
        earlier: ``{"version", "as_of", "scores"}`` of the product's earlier versions, oldest first.
        reproduced: ``{"checks", "differ"}``, how many of the publisher's own results were found again.
        demo: a demo key signs.

    Returns:
        Plain JSON, the same for the same arguments.
    """
    checks: Sequence[Mapping[str, Any]] = quality["checks"]
    scores: dict[str, float | None] = dict(quality["scores"])
    known = [score for score in scores.values() if score is not None]
    by_dimension = {name: [c for c in checks if c["dimension"] == name] for name in DIMENSIONS}
    blocking = [c["id"] for c in checks if c["severity"] == "error" and c["status"] != "passed"]
    now = {"version": version, "as_of": as_of, "scores": scores}
    return {
        "product": product,
        "title": dict(title),
        "version": version,
        "as_of": as_of,
        "kind": kind,
        "demo": demo,
        "evaluator": dict(evaluator),
        "rows": quality["rows"],
        "contract": dict(quality["contract"]),
        "passed": not blocking,
        "blocking": blocking,
        "counts": {
            **_tally(checks),
            "by_severity": {name: _tally([c for c in checks if c["severity"] == name]) for name in SEVERITIES},
        },
        "score": round(sum(known) / len(known), 6) if known else None,
        "scores": scores,
        "dimensions": [
            {
                "dimension": name,
                "title": text.model_dump(),
                "score": scores.get(name),
                "weight_passed": _weight(_passed(of_it)),
                "weight": _weight(of_it),
                **_tally(of_it),
            }
            for name, text in DIMENSIONS.items()
            for of_it in [by_dimension[name]]
        ],
        "kahn": [
            {"category": category, "context": context, **_tally([c for c in checks if place(c) == (category, context)])}
            for category in CATEGORIES
            for context in CONTEXTS
        ],
        "not_passed": [
            {name: c[name] for name in ("id", "title", "severity", "status", "failed_rows", "expected")}
            for c in sorted(checks, key=lambda c: (-WEIGHTS[c["severity"]], str(c["id"])))
            if c["status"] != "passed"
        ],
        "data": [dict(entry) for entry in data],
        "rules": [dict(entry) for entry in rules],
        "trend": [*({k: entry[k] for k in ("version", "as_of", "scores")} for entry in earlier), now],
        "not_evaluated": _not_evaluated(checks, columns),
        "reproduced": None if reproduced is None else dict(reproduced),
        "reservations": list(reservations),
    }
