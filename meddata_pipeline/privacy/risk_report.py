"""The risk report for people: what was done, what risk is left, what was not tested; as JSON and as zh and en pages.

What belongs here: choosing the numbers that are published and putting them on the page, in the chapters of GB/T 42460.
What does not: computing risk (risk.py) or anonymizing (tabular/). Texts are in risk_texts.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from meddata_pipeline.core.text import Text
from meddata_pipeline.disclosure.cells import masked_count, small_cell_limit
from meddata_pipeline.privacy.policy import Policy, load_policy
from meddata_pipeline.privacy.profiles import profiles
from meddata_pipeline.privacy.tabular.classes import RISK_RANGES
from meddata_pipeline.privacy.tabular.uniqueness import ESTIMATORS, has_estimate, population_uniqueness
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
        "journalist": round(risk["journalist"]["highest"], 6),
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


def _distribution(histogram: Mapping[str, int], limit: int) -> list[dict[str, Any]]:
    """Share of the people by the size of their class; a range of few people is joined to its neighbour.

    Joined and not left out: the shares add up to 1, so that a single gap could be filled.
    """
    ends = [*RISK_RANGES[1:], None]
    ranges: list[tuple[int, int | None, int]] = []
    for low, high in zip(RISK_RANGES, ends, strict=True):
        people = sum(int(s) * n for s, n in histogram.items() if int(s) >= low and (high is None or int(s) < high))
        if ranges and 0 < ranges[-1][2] < limit:
            low, people = ranges[-1][0], ranges.pop()[2] + people
        ranges.append((low, None if high is None else high - 1, people))
    while len(ranges) > 1 and 0 < ranges[-1][2] < limit:
        (_, to, few), (low, _, people) = ranges.pop(), ranges.pop()
        ranges.append((low, to, people + few))
    total = sum(people for _, _, people in ranges)
    return [{"from": low, "to": to, "people": round(n / total, 3) if total else 0.0} for low, to, n in ranges]


def _estimates(histogram: Mapping[str, int], fraction: float | None) -> dict[str, float | None]:
    """Estimated uniqueness of the population; None where nothing was, or can be, estimated."""
    if fraction is None or not histogram:
        return dict.fromkeys(ESTIMATORS)
    sizes = np.array([int(size) for size in histogram], dtype=np.int64)
    counts = np.array(list(histogram.values()), dtype=np.int64)
    return {
        name: round(population_uniqueness(sizes, counts, fraction, name), 6)
        if has_estimate(sizes, counts, fraction, name)
        else None
        for name in ESTIMATORS
    }


def _unique_by(before: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    """What each column adds to being unique before protection, as shares of the unique people."""
    unique = before["unique_by"]["persons"]

    def share(count: int) -> float | None:
        few = 0 < count < limit or 0 < unique - count < limit or unique < limit
        return None if few else round(count / unique, 3)

    return [
        {"column": c["column"], "lost": share(c["lost"]), "minimal": share(c["minimal"])}
        for c in before["unique_by"]["columns"]
    ]


def _attack(attack: Mapping[str, Any]) -> dict[str, Any]:
    """Rates alone: with counts of targets the suppressed rows could be computed back."""
    return {
        "columns": attack["columns"],
        "success_rate": round(attack["success_rate"], 4),
        "interval": [round(limit, 4) for limit in attack["interval"]],
        "confidence": attack["confidence"],
        "expected_rate": round(attack["expected_rate"], 4),
        "threshold": attack["threshold"],
        "met": attack["met"],
    }


def _join(join: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """What is published of a join with another release: rates, and a count of exposed people that is not small."""
    return {
        "product": join["product"],
        "version": join["version"],
        "title": dict(join["title"]),
        "columns": join["columns"],
        "joined_rate": round(join["joined_rate"], 4),
        "interval": [round(end, 4) for end in join["interval"]],
        "confidence": join["confidence"],
        "expected_rate": round(join["expected_rate"], 4),
        "sure_correct_rate": round(join["sure_correct"] / join["sure"], 4) if join["sure"] else None,
        "exposed": masked_count(int(join["exposed"]), limit),
        "attack": _attack(join["register"]),
        "met": join["met"],
    }


def _beside(versions: Mapping[str, Any] | None, limit: int) -> dict[str, Any] | None:
    """What the earlier versions did to this one. The rows withheld are told as none, few or more.

    Not exactly: with the suppressed rows, of which they are a part, a small rest would be told.
    """
    if versions is None:
        return None
    rows = int(versions["withheld_rows"])
    withheld = masked_count(rows, limit) if rows < limit else f"≥{limit}"
    return {"live": versions["live"], "since": versions["since"], "withheld": withheld}


def _untested(policy: Policy, before: Mapping[str, Any], attacks: Mapping[str, Any]) -> list[str]:
    """Ids of texts: what the numbers of this report leave open."""
    models = " ".join(model.model for model in policy.privacy)
    attribute = any(name in models for name in ("l-diversity", "t-closeness", "likeness", "disclosure"))
    attack, register, joins = (attacks[name] for name in ("attack", "register_attack", "joins"))
    open_questions = {
        "population_uniqueness": before.get("sampling_fraction") is None,
        "population_table": before.get("population") is None,
        "linkage_attack": attack is None,
        "attack_register": attack is not None,
        "register_attack": attack is not None and register is None,
        "attribute_disclosure": not attribute,
        "no_joins": joins is None,
        "other_joins": joins is not None,
        "sensitive_knowledge": True,
    }
    return [name for name, left in open_questions.items() if left]


def risk_evidence(
    policy: Policy,
    before: Mapping[str, Any],
    report: Mapping[str, Any],
    counted: Mapping[str, Any],
    attack: Mapping[str, Any] | None = None,
    register: Mapping[str, Any] | None = None,
    joins: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What is published about the risk of a release; a small number of suppressed rows is not.

    The rows before suppression are left out, and their classes where few were suppressed: with the rows after it they
    would give the suppressed ones back.

    Args:
        policy: what was asked.
        before: ``risk`` of the table before anonymization.
        report: report of ``anonymize``, with a solution.
        counted: answer of ``verify``.
        attack: ``Attack.as_dict`` of the attack with every true quasi-identifier; None when there was none.
        register: the same of the attack with what a hospital's register holds; None where it holds none of them.
        joins: ``JoinAttack.as_dict`` for each release it was joined with, and its ``product``, ``version`` and
            ``title``; None when nothing was joined.

    Returns:
        Plain JSON, the same for the same release.
    """
    limit = small_cell_limit(policy.k)
    gone = int(report["suppressed_rows"])
    after = _figures(report["risk"], counted["min"])
    met = counted["min"] is not None and counted["min"] >= policy.k and after["highest"] <= policy.risk.threshold + 1e-9
    histogram = report["classes"]["histogram"]
    carried_out = [made for made in (attack, register, *(joins or ())) if made is not None]
    told = {
        "attack": None if attack is None else _attack(attack),
        "register_attack": None if register is None else _attack(register),
        "joins": None if joins is None else [_join(join, limit) for join in joins],
    }
    return {
        "k": policy.k,
        "counts": report["asked"]["counts"],
        "threshold": policy.risk.threshold,
        "profile": policy.risk.profile,
        "suppression_limit": policy.suppression_limit,
        "linkability": "longitudinal" if policy.longitudinal else policy.linkability,
        "versions": _beside(report.get("versions"), limit),
        "met": met and all(bool(made["met"]) for made in carried_out),
        "rows": int(report["rows"]) - gone,
        "released": policy.released_columns,
        "suppressed_rows": masked_count(gone, limit),
        "transformation": dict(report["transformation"]),
        "loss": report["loss"],
        "lattice": report["lattice"],
        "checked": report["checked"],
        "before": {**_figures(before, None), **({"classes": None} if 0 < gone < limit else {})},
        "after": after,
        "class_sizes": _ranges(histogram, policy.k),
        "risk_distribution": {
            "before": _distribution(before["histogram"], limit),
            "after": _distribution(histogram, limit),
        },
        "information_kept": {name: round(c["information_kept"], 4) for name, c in report["columns"].items()},
        "treatments": _treatments(policy, report),
        "unique_by": _unique_by(before, limit),
        "attributes": [
            {
                "columns": row["columns"],
                "distinction": round(row["distinction"], 4),
                "separation": round(row["separation"], 4),
            }
            for row in before["attributes"]
            if len(row["columns"]) in {1, 2, len(policy.quasi_identifiers)}
        ],
        "sampling_fraction": before.get("sampling_fraction"),
        "population_uniqueness": {
            "before": _estimates(before["histogram"], before.get("sampling_fraction")),
            "after": _estimates(histogram, before.get("sampling_fraction")),
        },
        "profiles": [
            {"id": p.id, "k": p.k, "highest": float(p.highest), "status": p.status, "met": p.met(counted["min"])}
            for p in profiles().values()
        ],
        **told,
        "untested": _untested(policy, before, told),
    }


def _range_label(row: Mapping[str, Any], unit: str) -> str:
    if row["to"] is None:
        return f"≥ {row['from']} {unit}"
    return f"{row['from']}–{row['to']} {unit}" if row["to"] > row["from"] else f"{row['from']} {unit}"


def _rates(attack: Mapping[str, Any]) -> dict[str, str]:
    return {
        "rate": percent(attack["success_rate"], 2),
        "expected": percent(attack["expected_rate"], 2),
        "low": percent(attack["interval"][0], 2),
        "high": percent(attack["interval"][1], 2),
        "limit": percent(attack["threshold"], 1),
    }


def _attack_texts(evidence: Mapping[str, Any], called: Mapping[str, Text], texts: Any, lang: str) -> dict[str, str]:
    """What each attacker with a register knows and does, in words."""
    made = {}
    for name in ("attack", "register_attack"):
        if evidence[name] is not None:
            known = [called[c].get(lang) if c in called else c for c in evidence[name]["columns"]]
            made[name] = texts[f"{name}_text"].format(columns=("、" if lang == "zh" else ", ").join(known))
    return made


def _attack_rates(evidence: Mapping[str, Any], texts: Any, lang: str) -> str:
    """A figure of what each attack found, as shares of the people."""
    rates = {texts[name]: evidence[name] for name in ("attack", "register_attack") if evidence[name] is not None}
    for join in evidence["joins"] or ():
        rates[f"{texts['joined_with']} {join['title'][lang]} {join['version']}"] = join["attack"]
    return bars(
        list(rates),
        [rate["expected_rate"] for rate in rates.values()],
        title=texts["attack_rates"],
        desc=texts["attack_rates_desc"],
        texts=[[percent(rate["expected_rate"], 1)] for rate in rates.values()],
        highest=max(evidence["threshold"], *(rate["expected_rate"] for rate in rates.values())),
    )


def _versions_text(evidence: Mapping[str, Any], texts: Mapping[str, str], lang: str) -> str:
    versions = evidence["versions"]
    if not versions:
        return ""
    if not versions["live"]:
        return texts["versions_first"]
    told = [texts["versions_text"].format(k=evidence["k"], **versions)]
    if versions["since"]:
        told.append(texts["versions_frozen"].format(**versions))
    return ("" if lang == "zh" else " ").join(told)


def risk_page(
    lang: str,
    evidence: Mapping[str, Any],
    *,
    title: Text,
    as_of: str = "",
    names: Mapping[str, Text] | None = None,
    demo: bool = False,
    translation: str | None = None,
    label: tuple[Text, Text] | None = None,
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
        label: what the data are called, and why; None leaves it out.

    Returns:
        HTML, self-contained, the same bytes for the same evidence.
    """
    texts = load_texts(_PACKAGE, "risk_texts.yaml")[lang]
    figures = texts["quantitative"]
    called = dict(names or {})
    ranges = evidence["class_sizes"]
    labels = [_range_label(row, figures["unit"]) for row in ranges]
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
    distributions = {
        when: bars(
            [_range_label(row, figures["unit"]) for row in shares],
            [row["people"] for row in shares],
            title=figures["distribution"][when],
            desc=figures["distribution_desc"],
            texts=[[percent(row["people"], 1)] for row in shares],
            highest=1.0,
        )
        for when, shares in evidence["risk_distribution"].items()
    }
    words = texts["conclusion"]["met" if evidence["met"] else "not_met"]
    conclusion = words.format(
        min=number(evidence["after"]["smallest"]),
        k=evidence["k"],
        highest=percent(evidence["after"]["highest"], 1),
        threshold=percent(evidence["threshold"], 1),
    )
    for name in ("attack", "register_attack"):
        if (attack := evidence[name]) is not None:
            conclusion += ("" if lang == "zh" else " ") + texts["conclusion"][name].format(**_rates(attack))
    for join in evidence["joins"] or ():
        conclusion += ("" if lang == "zh" else " ") + texts["conclusion"]["join"].format(
            other=f"{join['title'][lang]} {join['version']}",
            joined=percent(join["expected_rate"], 1),
            **_rates(join["attack"]),
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
        distribution_svg=distributions,
        profiles=profiles(),
        versions_text=_versions_text(evidence, texts["qualitative"], lang),
        attack_texts=_attack_texts(evidence, called, figures, lang),
        attacks_svg=None if evidence["attack"] is None else _attack_rates(evidence, figures, lang),
        label=label,
        estimates_note=figures["estimates_note"].format(fraction=percent(evidence["sampling_fraction"], 1)),
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
    label: tuple[Text, Text] | None = None,
) -> str:
    """The risk page of a candidate.

    Args:
        risk: ``before`` (risk of the cohort), ``protection`` (report of ``anonymize`` that a recount agreed with) and,
            where they were carried out, ``attack``, ``register_attack`` and ``joins``.
        policy: the policy or its file.
        title: of the product.
        lang: ``zh`` or ``en``.
        as_of: see risk_page.
        names: see risk_page.
        demo: see risk_page.
        translation: see risk_page.
        label: see risk_page.

    Returns:
        HTML.
    """
    return risk_page(
        lang,
        published(risk, policy=policy),
        title=title,
        as_of=as_of,
        names=names,
        demo=demo,
        translation=translation,
        label=label,
    )


def published(risk: Mapping[str, Any], *, policy: Policy | Path) -> dict[str, Any]:
    """What of a candidate's risk figures may be published; arguments as in render."""
    asked = load_policy(policy) if isinstance(policy, Path) else policy
    protection = risk["protection"]
    counted = {"min": protection["classes"]["min"]}
    made = [risk.get(name) for name in ("attack", "register_attack", "joins")]
    return risk_evidence(asked, risk["before"], protection, counted, *made)
