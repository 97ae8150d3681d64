"""The risk report for people: what was done, what risk is left, what was not tested; as JSON and as zh and en pages.

What belongs here: choosing the numbers that are published and putting them on the page, in the chapters of GB/T 42460.
What does not: computing risk (risk.py) or anonymizing (tabular/). Texts are in risk_texts.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meddata_pipeline.core.text import Text
from meddata_pipeline.disclosure.cells import small_cell_limit
from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.render.figures import bars
from meddata_pipeline.render.html import environment, number, page, percent
from meddata_pipeline.render.texts import load_texts

_PACKAGE = "meddata_pipeline.privacy"
# Upper ends of the ranges of class sizes, in persons.
_SIZES = (10, 20, 50, 100, 500)


def _figures(risk: Mapping[str, Any], smallest: int | None) -> dict[str, Any]:
    rows = risk["rows"]
    return {
        "highest": round(risk["prosecutor"]["highest"], 6),
        "records_at_risk": round(risk["prosecutor"]["records_at_risk"], 6),
        "average": round(risk["marketer"]["success_rate"], 6),
        "uniques": round(risk["uniques"] / rows, 6) if rows else 0.0,
        "classes": risk["classes"],
        "smallest": smallest,
    }


def _treatments(policy: Policy, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    names = [*policy.identifiers, *([policy.unit] if policy.unit and policy.unit not in policy.identifiers else [])]
    rows += [{"column": name, "role": "identifier", "treatment": "dropped"} for name in names]
    for name, spec in policy.quasi_identifiers.items():
        row: dict[str, Any] = {"column": name, "role": "quasi", "treatment": "whole"}
        if spec.generalises:
            column = report["columns"][name]
            row.update(treatment="level", level=column["level"], levels=column["levels"])
        rows.append(row)
    for role, listed in (("sensitive", list(policy.sensitive)), ("insensitive", policy.insensitive)):
        for name in listed:
            rows.append({"column": name, "role": role, "treatment": "as_is"})
            if name in policy.round:
                rows[-1].update(treatment="rounded", decimals=policy.round[name])
    return rows


def _ranges(histogram: Mapping[str, int], k: int) -> list[dict[str, Any]]:
    """Number of classes per range of sizes, from k on; open at the end."""
    ends = [k, *(end for end in _SIZES if end > k)]
    ranges = []
    for low, high in zip(ends, [*ends[1:], None], strict=True):
        count = sum(n for size, n in histogram.items() if int(size) >= low and (high is None or int(size) < high))
        ranges.append({"from": low, "to": None if high is None else high - 1, "classes": count})
    return ranges


def risk_evidence(
    policy: Policy, before: Mapping[str, Any], report: Mapping[str, Any], counted: Mapping[str, Any]
) -> dict[str, Any]:
    """What is published about the risk of a release; a small number of suppressed rows is not.

    The rows before suppression are left out, and their classes where few were suppressed: with the rows after it they
    would give the suppressed ones back.

    Args:
        policy: what was asked.
        before: ``risk`` of the table before anonymization.
        report: report of ``anonymize``, with a solution.
        counted: answer of ``verify``.

    Returns:
        Plain JSON, the same for the same release.
    """
    limit = small_cell_limit(policy.k)
    gone = int(report["suppressed_rows"])
    after = _figures(report["risk"], counted["min"])
    met = counted["min"] is not None and counted["min"] >= policy.k and after["highest"] <= policy.risk.threshold + 1e-9
    return {
        "k": policy.k,
        "counts": report["asked"]["counts"],
        "threshold": policy.risk.threshold,
        "suppression_limit": policy.suppression_limit,
        "linkability": policy.linkability,
        "met": met,
        "rows": int(report["risk"]["rows"]),
        "released": policy.released_columns,
        "suppressed_rows": f"<{limit}" if 0 < gone < limit else gone,
        "transformation": dict(report["transformation"]),
        "loss": report["loss"],
        "lattice": report["lattice"],
        "checked": report["checked"],
        "before": {**_figures(before, None), **({"classes": None} if 0 < gone < limit else {})},
        "after": after,
        "class_sizes": _ranges(report["classes"]["histogram"], policy.k),
        "information_kept": {name: round(c["information_kept"], 4) for name, c in report["columns"].items()},
        "treatments": _treatments(policy, report),
        "attributes": [
            {**row, "distinction": round(row["distinction"], 4), "separation": round(row["separation"], 4)}
            for row in before["attributes"]
            if len(row["columns"]) in {1, 2, len(policy.quasi_identifiers)}
        ],
        "population_uniqueness": dict(report["risk"]["population_uniqueness"]),
    }


def risk_page(
    lang: str,
    evidence: Mapping[str, Any],
    *,
    title: Text,
    as_of: str = "",
    names: Mapping[str, Text] | None = None,
    demo: bool = False,
    translation: str | None = None,
) -> str:
    """The risk report as one HTML page.

    Args:
        lang: ``zh`` or ``en``.
        evidence: from risk_evidence.
        title: of the product.
        as_of: day of the newest delivery, ISO; empty leaves it out.
        names: what columns are called.
        demo: whether the data are of people who do not exist.
        translation: relative link to the page in the other language.

    Returns:
        HTML, self-contained, the same bytes for the same evidence.
    """
    texts = load_texts(_PACKAGE, "risk_texts.yaml")[lang]
    figures = texts["quantitative"]
    called = dict(names or {})
    ranges = evidence["class_sizes"]
    labels = [
        f"{row['from']}–{row['to']} {figures['unit']}" if row["to"] else f"≥ {row['from']} {figures['unit']}"
        for row in ranges
    ]
    sizes = bars(
        labels,
        [float(row["classes"]) for row in ranges],
        title=figures["sizes"],
        desc=figures["sizes_desc"],
        texts=[[number(row["classes"])] for row in ranges],
    )
    kept = evidence["information_kept"]
    information = bars(
        [called[name].get(lang) if name in called else name for name in kept],
        [max(value, 0.0) for value in kept.values()],
        title=figures["kept"],
        desc=figures["kept_desc"],
        texts=[[percent(max(value, 0.0), 0)] for value in kept.values()],
        highest=1.0,
    )
    words = texts["conclusion"]["met" if evidence["met"] else "not_met"]
    conclusion = words.format(
        min=number(evidence["after"]["smallest"]),
        k=evidence["k"],
        highest=percent(evidence["after"]["highest"], 1),
        threshold=percent(evidence["threshold"], 1),
    )
    return page(
        environment(_PACKAGE),
        "risk.html",
        lang=lang,
        tx=texts,
        e=evidence,
        title=title,
        as_of=as_of,
        names=called,
        demo=demo,
        translation=translation,
        sizes_svg=sizes,
        kept_svg=information,
        conclusion=conclusion,
    )


def render(
    risk: Mapping[str, Any],
    *,
    policy: Policy | Path,
    title: Text,
    lang: str,
    as_of: str = "",
    names: Mapping[str, Text] | None = None,
    demo: bool = False,
    translation: str | None = None,
) -> str:
    """The risk page of a candidate.

    Args:
        risk: ``before`` (risk of the cohort) and ``protection`` (report of ``anonymize`` that a recount agreed with).
        policy: the policy or its file.
        title: of the product.
        lang: ``zh`` or ``en``.
        as_of: see risk_page.
        names: see risk_page.
        demo: see risk_page.
        translation: see risk_page.

    Returns:
        HTML.
    """
    return risk_page(
        lang, published(risk, policy=policy), title=title, as_of=as_of, names=names, demo=demo, translation=translation
    )


def published(risk: Mapping[str, Any], *, policy: Policy | Path) -> dict[str, Any]:
    """What of a candidate's risk figures may be published; arguments as in render."""
    asked = load_policy(policy) if isinstance(policy, Path) else policy
    protection = risk["protection"]
    return risk_evidence(asked, risk["before"], protection, {"min": protection["classes"]["min"]})
