"""Scores of a table from the results of its checks: GB/T 36344's dimensions, Kahn's frame, and their trend.

What belongs here: the formula, said in words for reports, and its arithmetic. What does not: verdicts of single checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from meddata_pipeline.core.text import Text
from meddata_pipeline.quality.checks import DIMENSIONS, KAHN_CATEGORIES, WEIGHTS, CheckResult

#: The formula of every score here, for reports.
FORMULA = Text(
    zh=(
        "得分 = 通过的检查权重之和 ÷ 全部检查权重之和。权重：错误 3，警告 2，提示 1。未能完成的检查按未通过计；"
        "没有适用对象的检查不计入。没有检查的维度不给分。"
    ),
    en=(
        "Score = weights of the checks that passed / weights of all checks. Weights: error 3, warning 2, info 1. A "
        "check that could not be counted is not passed; a check that applies to nothing is left out. A dimension "
        "without checks has no score."
    ),
)


def _counts(result: CheckResult) -> bool:
    return result.code not in {"not-applicable", "no-earlier-version"}


def _score(results: Iterable[CheckResult]) -> float | None:
    total = passed = 0
    for result in results:
        if _counts(result):
            weight = WEIGHTS[result.spec.severity]
            total += weight
            passed += weight * (result.status == "passed")
    return round(passed / total, 6) if total else None


def scores(results: Sequence[CheckResult]) -> dict[str, float | None]:
    """Score of each dimension of GB/T 36344, see FORMULA.

    Args:
        results: of all checks.

    Returns:
        Dimension → score between 0 and 1, None where no check measures it.
    """
    return {name: _score(r for r in results if r.spec.dimension == name) for name in DIMENSIONS}


def _entry(results: Sequence[CheckResult], test: Callable[[CheckResult], bool]) -> dict[str, Any]:
    of_it = [result for result in results if test(result)]
    return {
        "score": _score(of_it),
        "checks": len(of_it),
        "failed": sum(result.status == "failed" for result in of_it),
        "errored": sum(result.status == "errored" for result in of_it),
        "not_applicable": sum(not _counts(result) for result in of_it),
    }


def kahn_scores(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Score, checks, failed, errored and not applicable per category of Kahn's frame, subcategory and context.

    Args:
        results: of all checks.

    Returns:
        Category → entry with ``subcategories`` and ``contexts``, each an entry of the same kind.
    """
    answer: dict[str, Any] = {}
    for category in KAHN_CATEGORIES:
        of_it = [result for result in results if result.spec.kahn.category == category]
        subs = sorted({result.spec.kahn.subcategory for result in of_it} - {""})
        answer[category] = _entry(of_it, lambda _: True) | {
            "subcategories": {s: _entry(of_it, lambda r, s=s: r.spec.kahn.subcategory == s) for s in subs},  # type: ignore[misc]
            "contexts": {
                c: _entry(of_it, lambda r, c=c: r.spec.kahn.context == c)  # type: ignore[misc]
                for c in ("verification", "validation")
            },
        }
    return answer


def trend(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How scores and checks moved over versions.

    Args:
        results: of ``QualityResult.as_dict()``, oldest first.

    Returns:
        ``dimensions``: dimension → list of scores, one per version (None: none); ``change``: dimension → last minus the
        one before, None without both; ``newly_failing`` and ``recovered``: ids of checks whose status left or reached
        ``passed`` between the last two.
    """
    lines = {name: [result.get("scores", {}).get(name) for result in results] for name in DIMENSIONS}
    change: dict[str, float | None] = {}
    for name, line in lines.items():
        ends = line[-2:]
        change[name] = round(ends[1] - ends[0], 6) if len(ends) == 2 and None not in ends else None
    good = [{c["id"]: c["status"] == "passed" for c in result["checks"]} for result in results[-2:]]
    before, after = good if len(good) == 2 else ({}, {})
    return {
        "dimensions": lines,
        "change": change,
        "newly_failing": sorted(i for i, passed in after.items() if not passed and before.get(i)),
        "recovered": sorted(i for i, passed in after.items() if passed and before.get(i) is False),
    }
