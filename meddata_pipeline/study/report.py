"""The association report: results.json with an id for every number, figures, and the HTML report in two languages.

Belongs here: which estimates are published, how the restricted cohort and the release compare, and how results become a
page. Does not belong here: estimation (estimators/), suppression and rounding rules (disclosure), drawing (render).

A page is rendered from the published results alone, so that it can't hold a number that results.json does not have;
every number on it stands in an element with `data-id`, the key of that number in ``results["numbers"]``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from meddata_pipeline.core.text import Text
from meddata_pipeline.disclosure.cells import CountRegistry, small_cell_limit
from meddata_pipeline.disclosure.publish import COUNTS, Published, publish, publish_flow
from meddata_pipeline.render import figures as draw
from meddata_pipeline.render.html import environment, page
from meddata_pipeline.render.texts import load_texts
from meddata_pipeline.study.api import Associations
from meddata_pipeline.study.spec import Analysis, StudySpec

DASH = "—"
_FIELDS = ("low", "high", "p", "n")
_RATIOS = ("or", "rr", "hr", "or-fisher", "or-midp", "or-haldane")
#: Methods whose results have a row for every term of a model.
_REGRESSIONS = frozenset(
    {"logistic", "linear", "modified-poisson", "log-binomial", "conditional-logistic", "gee", "cox", "firth"}
    | {"imputation"}
)


def results(
    study: StudySpec,
    restricted: Associations,
    release: Associations | None,
    *,
    flow: Sequence[Mapping[str, Any]],
    k: int,
    meta: Mapping[str, Any],
) -> dict[str, Any]:
    """The published results of a study: suppressed, rounded, each number with an id.

    Args:
        study: the study of record.
        restricted: its estimates on the restricted cohort; these are the ones that are published.
        release: the same on the release; only its effects are shown, for comparison. None without a release.
        flow: steps of the cohort's flow as mappings; empty where there is none.
        k: the product's k; the study's own ``disclosure`` overrides it.
        meta: product (id), title (zh, en), as_of, demo.

    Returns:
        Plain JSON: ``estimates`` and ``release_estimates`` in the shape of formats/study.md, ``protection_cost``,
        ``flow``, ``numbers`` (every number of the report by its id), and the texts that the report shows.
    """
    limit = small_cell_limit(study.disclosure.k if study.disclosure is not None else k)
    registry = CountRegistry(limit)
    steps = publish_flow(flow, limit) if flow else []
    for step in steps:
        for key in ("n_before", "n_after"):
            if step[key] is not None:
                registry.admit("persons", int(step[key]))
    published = _published(restricted, study, limit, registry)
    repeated = Published() if release is None else _repeated(release, study, limit, registry)
    cost = _protection_cost(published.estimates, repeated.estimates)
    groups = {
        a.id: restricted.groups.get(a.id, {})
        for a in study.analyses
        if a.method == "table-one" and a.id not in published.uncounted
    }
    title = study.title or Text.model_validate(meta.get("title") or study.study)
    result: dict[str, Any] = {
        "study": study.study,
        "product": meta.get("product"),
        "as_of": str(meta.get("as_of", "")),
        "demo": bool(meta.get("demo", False)),
        "title": title.model_dump(),
        "question": study.question.model_dump() if study.question is not None else None,
        "texts": {name: text.model_dump() for name, text in study.texts.items()},
        "exposure": study.exposure,
        "outcome": study.outcome if isinstance(study.outcome, str) else None,
        "variables": _variables(study),
        "analyses": [_analysis(study, analysis) for analysis in study.analyses],
        "estimates": published.estimates,
        "release_estimates": repeated.estimates,
        "protection_cost": cost,
        "flow": steps,
        "groups": groups,
        "suppressed": published.suppressed,
        "disclosure": {"limit": limit, "suppressed": published.suppressed},
    }
    result["numbers"] = dict(_numbers(result))
    return result


def _published(found: Associations, study: StudySpec, limit: int, registry: CountRegistry) -> Published:
    """What is published: the exposure's rows and the size of each model, four-fold tables, Table 1."""
    methods = {analysis.id: analysis.method for analysis in study.analyses}
    exposures = {analysis.id: analysis.exposure or study.exposure for analysis in study.analyses}
    chosen = []
    for estimate in found.estimates:
        analysis = estimate["analysis"]
        wanted = {*found.exposure_terms.get(analysis, ()), exposures[analysis], "model"}
        # A covariate's odds ratio has no reading of its own (Westreich & Greenland 2013, the Table 2 fallacy).
        if methods[analysis] not in _REGRESSIONS or estimate["term"] in wanted:
            chosen.append(estimate)
    return publish(chosen, limit, cells=found.cells, tables=found.tables, groups=found.groups, registry=registry)


def _repeated(found: Associations, study: StudySpec, limit: int, registry: CountRegistry) -> Published:
    """Of the release its effects only: its counts beside those of the cohort would tell who was suppressed."""
    shown = _published(found, study, limit, registry)
    tables = {a.id for a in study.analyses if a.method == "table-one"}
    shown.estimates = [e for e in shown.estimates if e["analysis"] not in tables and e["measure"] not in COUNTS]
    return shown


def _finite(*values: Any) -> bool:
    return all(isinstance(v, int | float) and math.isfinite(v) and v > 0 for v in values)


def _protection_cost(
    restricted: Sequence[Mapping[str, Any]], release: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Odds and risk ratios side by side; computed from the published numbers, so it gives nothing more away."""
    other = {estimate["id"]: estimate for estimate in release}
    rows = []
    for estimate in restricted:
        twin = other.get(estimate["id"])
        if estimate["measure"] not in ("or", "rr") or twin is None:
            continue
        row: dict[str, Any] = {"id": estimate["id"], "analysis": estimate["analysis"], "term": estimate["term"]}
        row |= {
            key: {f: side[f] for f in ("estimate", "low", "high")}
            for key, side in (("restricted", estimate), ("release", twin))
        }
        row |= {"change_percent": None, "interval_ratio": None}
        if _finite(estimate["estimate"], twin["estimate"]):
            row["change_percent"] = round(100 * (twin["estimate"] / estimate["estimate"] - 1), 1)
        if _finite(estimate["low"], estimate["high"], twin["low"], twin["high"]) and estimate["high"] > estimate["low"]:
            widths = [math.log(side["high"] / side["low"]) for side in (twin, estimate)]
            row["interval_ratio"] = round(widths[0] / widths[1], 2)
        rows.append(row)
    return rows


def _variables(study: StudySpec) -> dict[str, Any]:
    report = (study.model_extra or {}).get("report") or {}
    median = set(report.get("median", [])) if isinstance(report, Mapping) else set()
    return {
        name: {
            "title": study.title_of(name).model_dump(),
            "type": variable.type,
            "unit": variable.unit.model_dump() if variable.unit is not None else None,
            "levels": {level: text.model_dump() for level, text in variable.level_titles.items()},
            "median": name in median,
        }
        for name, variable in study.variables.items()
    }


def _analysis(study: StudySpec, analysis: Analysis) -> dict[str, Any]:
    outcome = analysis.outcome if analysis.outcome is not None else study.outcome
    covariates = analysis.covariates if analysis.covariates is not None else study.covariates
    return {
        "id": analysis.id,
        "method": analysis.method,
        "title": analysis.title.model_dump() if analysis.title is not None else None,
        "exposures": analysis.exposures or [e for e in (analysis.exposure or study.exposure,) if e is not None],
        "outcome": outcome if isinstance(outcome, str) else None,
        "covariates": list(covariates),
        "by": analysis.by or analysis.exposure or study.exposure,
        "level": analysis.level,
        "interval": analysis.interval,
    }


def _numbers(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every number of the report by its id."""
    for prefix, key in (("", "estimates"), ("release/", "release_estimates")):
        for estimate in result[key]:
            yield prefix + estimate["id"], estimate["estimate"]
            for name in _FIELDS:
                yield f"{prefix}{estimate['id']}/{name}", estimate[name]
    for step in result["flow"]:
        for name in ("n_before", "excluded", "n_after"):
            yield f"flow/{step['id']}/{name}", step[name]
    for row in result["protection_cost"]:
        yield f"protection/{row['id']}/change-percent", row["change_percent"]
        yield f"protection/{row['id']}/interval-ratio", row["interval_ratio"]
    for analysis, groups in result["groups"].items():
        for label, size in groups.items():
            yield f"groups/{analysis}/{label}", size
    for analysis in result["analyses"]:
        yield f"parameters/{analysis['id']}/level", round(100 * analysis["level"], 6)
    yield "parameters/limit", result["disclosure"]["limit"]
    yield "parameters/suppressed", result["suppressed"]
    low, high = draw.forest_range(_forest_rows(result, "zh", None))
    for position, tick in enumerate(draw.ratio_ticks(low, high)):
        yield f"forest/tick/{position}", tick


# -- the page ----------------------------------------------------------------------------------------------------------


def number_text(key: str, value: Any) -> str:
    """How a number is written, by its id."""
    if value is None:
        return DASH
    if isinstance(value, str):
        return value.replace("inf", "∞")
    last = key.rsplit("/", 1)[-1]
    if last == "p":
        return "<0.001" if value <= 0.001 else f"{value:g}"
    if last in (*_RATIOS, "rd", "smd", "low", "high", "interval-ratio"):
        return f"{value:.2f}" if abs(value) >= 0.005 or value == 0 else f"{value:g}"
    if last in ("percent", "change-percent"):
        return f"{value:.1f}"
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.10g}"


class _Page:
    """One language of a report."""

    def __init__(self, result: Mapping[str, Any], lang: str) -> None:
        self.result = result
        self.lang = lang
        self.texts = load_texts("meddata_pipeline.study")[lang]
        self.estimates = {e["id"]: e for e in result["estimates"]}

    def num(self, key: str) -> Markup:
        """The one way a number gets onto the page."""
        text = number_text(key, self.result["numbers"].get(key))
        if text == DASH:
            return Markup('<span class="suppressed">{}</span>').format(DASH)
        return Markup('<span data-id="{}">{}</span>').format(key, text)

    def fill(self, text: str, **values: Any) -> Markup:
        return escape(text).format(**values)

    def title(self, name: str) -> str:
        """Name of a variable, with its level where the term has one."""
        variable, _, level = name.partition("=")
        known = self.result["variables"].get(variable)
        if known is None:
            return name
        title = str(known["title"][self.lang])
        if not level:
            return title
        levels = known["levels"]
        return f"{title}: {levels[level][self.lang] if level in levels else level}"

    def level(self, label: str) -> str:
        """Name of a group ``VARIABLE=LEVEL``."""
        variable, _, level = label.partition("=")
        known = self.result["variables"].get(variable)
        if known is not None and level in known["levels"]:
            return str(known["levels"][level][self.lang])
        return self.title(label)

    def name(self, analysis: Mapping[str, Any]) -> str:
        return str(analysis["title"][self.lang]) if analysis["title"] else str(analysis["id"])

    def analysis(self, analysis_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(a for a in self.result["analyses"] if a["id"] == analysis_id)
        return found

    def interval(self, key: str) -> Markup:
        """``low–high`` of an estimate."""
        if self.result["numbers"].get(f"{key}/low") is None:
            return self.num(f"{key}/low")
        return Markup("{}–{}").format(self.num(f"{key}/low"), self.num(f"{key}/high"))

    # The parts of the page.

    def main(self) -> Markup:
        adjusted = next((e for e in reversed(self.effects()) if e["estimate"] is not None), None)
        if adjusted is None:
            return escape(self.texts["main_none"])
        key = adjusted["id"]
        analysis = self.analysis(adjusted["analysis"])
        p = self.result["numbers"][f"{key}/p"]
        sign = "" if p is not None and p <= 0.001 else "= "
        return self.fill(
            self.texts["main"],
            title=self.name(analysis),
            exposure=self.title(adjusted["term"]),
            outcome=self.title(str(analysis["outcome"])),
            **{"or": self.num(key)},
            level=self.num(f"parameters/{analysis['id']}/level"),
            low=self.num(f"{key}/low"),
            high=self.num(f"{key}/high"),
            p=Markup("{}{}").format(sign, self.num(f"{key}/p")),
            n=self.num(f"{key}/n"),
        )

    def effects(self) -> list[Mapping[str, Any]]:
        """Odds ratios of exposures, in the order of the analyses."""
        return [e for e in self.result["estimates"] if e["measure"] == "or" and e["term"] != "model"]

    def effect_rows(self) -> list[dict[str, Any]]:
        rows = []
        for estimate in self.effects():
            key = estimate["id"]
            events = f"{estimate['analysis']}/model/events"
            if events not in self.estimates:
                events = ""
            shown: Any = self.num(key)
            if estimate["estimate"] is None:
                word = "suppressed" if estimate["reason"] == "small-cell" else "not_computed"
                shown = Markup('<span class="suppressed">{}</span>').format(self.texts["words"][word])
            rows.append(
                {
                    "analysis": self.name(self.analysis(estimate["analysis"])),
                    "term": self.title(estimate["term"]),
                    "estimate": shown,
                    "interval": self.interval(key),
                    "p": self.num(f"{key}/p"),
                    "n": self.num(f"{key}/n"),
                    "events": self.num(events) if events else self.events_of(estimate),
                }
            )
        return rows

    def events_of(self, estimate: Mapping[str, Any]) -> Markup:
        """Events of a two-by-two table: the exposed and the unexposed cases; nothing where there is none."""
        stem = f"{estimate['analysis']}/{estimate['term']}"
        if f"{stem}/a" not in self.estimates:
            return Markup("")
        return Markup("{} + {}").format(self.num(f"{stem}/a"), self.num(f"{stem}/c"))

    def other_rows(self) -> list[dict[str, Any]]:
        """Everything else that was estimated: other measures, tests, balance; Table 1 has a table of its own."""
        shown = {"or", *COUNTS}
        rows = []
        for estimate in self.result["estimates"]:
            analysis = self.analysis(estimate["analysis"])
            if analysis["method"] == "table-one" or (estimate["measure"] in shown and analysis["method"] != "missing"):
                continue
            key = estimate["id"]
            rows.append(
                {
                    "analysis": self.name(analysis),
                    "term": " | ".join(self.title(part) for part in estimate["term"].split("|")),
                    "measure": self.texts["measures"].get(estimate["measure"], estimate["measure"]),
                    "estimate": self.num(key),
                    "interval": self.interval(key) if estimate["low"] is not None else "",
                    "p": self.num(f"{key}/p") if estimate["p"] is not None else "",
                    "n": self.num(f"{key}/n"),
                }
            )
        return rows

    def tables(self) -> list[dict[str, Any]]:
        return [self.table(a) for a in self.result["analyses"] if a["method"] == "table-one"]

    def table(self, analysis: Mapping[str, Any]) -> dict[str, Any]:
        i = analysis["id"]
        # Terms are VARIABLE|BY=LEVEL and VARIABLE=LEVEL|BY=LEVEL.
        terms = list(dict.fromkeys(e["term"] for e in self.result["estimates"] if e["analysis"] == i))
        groups = list(dict.fromkeys(term.split("|", 1)[1] for term in terms if "|" in term))
        rows: list[dict[str, Any]] = []
        for variable in analysis["covariates"] if groups else ():
            if f"{i}/{variable}|{groups[0]}/n" in self.estimates:
                rows += self.table_rows(i, variable, groups, terms)
        return {
            "title": self.name(analysis) if analysis["title"] else self.texts["headings"]["table"],
            "groups": [self.level(group) for group in groups],
            "sizes": [self.num(f"groups/{i}/{group}") for group in groups],
            "rows": rows,
        }

    def table_rows(self, i: str, variable: str, groups: Sequence[str], terms: Sequence[str]) -> list[dict[str, Any]]:
        words = self.texts["words"]
        known = self.result["variables"].get(variable, {"unit": None, "median": False})
        title = self.title(variable)
        if known["unit"]:
            title += f" ({known['unit'][self.lang]})"
        smd = self.num(f"{i}/{variable}/smd")
        empty = [Markup("")] * len(groups)
        levels = list(
            dict.fromkeys(
                t.split("|", 1)[0] for t in terms if t.startswith(f"{variable}=") and t.split("|", 1)[-1] == groups[0]
            )
        )

        def cell(term: str, group: str) -> Markup:
            stem = f"{i}/{term}|{group}"
            if self.result["numbers"].get(f"{stem}/n") is None:
                return self.num(f"{stem}/n")
            return Markup("{} ({})").format(self.num(f"{stem}/n"), self.num(f"{stem}/percent"))

        if not levels:
            rows = [self.number_row(i, variable, title, groups, smd, median=bool(known["median"]))]
        elif levels == [f"{variable}=1"]:
            cells = [cell(levels[0], group) for group in groups]
            rows = [{"title": title, "note": words["n_percent"], "cells": cells, "smd": smd, "level": False}]
        else:
            rows = [{"title": title, "note": words["n_percent"], "cells": empty, "smd": smd, "level": False}]
            rows += [
                {
                    "title": self.level(term),
                    "note": "",
                    "cells": [cell(term, g) for g in groups],
                    "smd": "",
                    "level": True,
                }
                for term in levels
            ]
        missing = [f"{i}/{variable}|{group}/missing" for group in groups]
        if any(self.result["numbers"].get(key) != 0 for key in missing):
            cells = [self.num(key) for key in missing]
            rows.append({"title": words["missing"], "note": "", "cells": cells, "smd": "", "level": True})
        return rows

    def number_row(
        self, i: str, variable: str, title: str, groups: Sequence[str], smd: Markup, *, median: bool
    ) -> dict[str, Any]:
        cells = []
        for group in groups:
            stem = f"{i}/{variable}|{group}"
            if median:
                quartiles = Markup("{}–{}").format(self.num(f"{stem}/q25"), self.num(f"{stem}/q75"))
                cells.append(Markup("{} ({})").format(self.num(f"{stem}/median"), quartiles))
            else:
                cells.append(Markup("{} ({})").format(self.num(f"{stem}/mean"), self.num(f"{stem}/sd")))
        note = self.texts["words"]["median_iqr" if median else "mean_sd"]
        return {"title": title, "note": note, "cells": cells, "smd": smd, "level": False}

    def protection(self) -> list[dict[str, Any]]:
        rows = []
        for row in self.result["protection_cost"]:
            if row["id"].rsplit("/", 1)[-1] != "or":
                continue
            sides = []
            for prefix in ("", "release/"):
                key = prefix + row["id"]
                if self.result["numbers"].get(key) is None:
                    sides.append(self.num(key))
                else:
                    sides.append(Markup("{} ({})").format(self.num(key), self.interval(key)))
            change = self.num(f"protection/{row['id']}/change-percent")
            if row["change_percent"] is not None:
                change = Markup("{} %").format(change)
            rows.append(
                {
                    "analysis": self.name(self.analysis(row["analysis"])),
                    "restricted": sides[0],
                    "release": sides[1],
                    "change": change,
                    "width": self.num(f"protection/{row['id']}/interval-ratio"),
                }
            )
        return rows

    def methods(self) -> list[Markup]:
        texts = self.texts["methods"]
        separator = self.texts["words"]["separator"]
        paragraphs = [escape(texts["cohort"])]
        paragraphs += [
            escape(self.result["texts"][n][self.lang]) for n in ("population", "exposure") if n in self.result["texts"]
        ]
        for analysis in self.result["analyses"]:
            covariates = separator.join(self.title(term) for term in analysis["covariates"])
            paragraphs.append(
                self.fill(
                    texts[analysis["method"]],
                    title=self.name(analysis),
                    by=self.title(str(analysis["by"])),
                    exposure=separator.join(self.title(e) for e in analysis["exposures"]),
                    outcome=self.title(str(analysis["outcome"])),
                    covariates=covariates or self.texts["words"]["none"],
                    interval=self.texts["intervals"][analysis["interval"]],
                    level=self.num(f"parameters/{analysis['id']}/level"),
                )
            )
        return [*paragraphs, escape(texts["complete"]), escape(texts["rounding"])]

    def limitations(self) -> list[str]:
        own = self.result["texts"].get("limitation")
        return [*self.texts["limitations"].values(), *([own[self.lang]] if own else [])]

    def suppression(self) -> Markup:
        if not self.result["disclosure"]["limit"]:
            return escape(self.texts["suppression"]["off"])
        return self.fill(
            self.texts["suppression"]["on"],
            limit=self.num("parameters/limit"),
            suppressed=self.num("parameters/suppressed"),
        )


def _forest_rows(result: Mapping[str, Any], lang: str, view: _Page | None) -> list[draw.ForestRow]:
    """Rows of the forest plot: the analyses on the cohort (the last is the main one), then on the release."""
    phases = [("", "estimates"), ("release/", "release_estimates")]
    wanted = [
        (prefix, e) for prefix, key in phases for e in result[key] if e["measure"] == "or" and e["term"] != "model"
    ]
    cohort = [e["id"] for prefix, e in wanted if not prefix]
    rows = []
    for prefix, e in wanted:
        numbers = {f: e[f] if isinstance(e[f], int | float) else None for f in ("estimate", "low", "high")}
        label, text = "", []
        if view is not None:
            phase = view.texts["columns"]["release" if prefix else "restricted"]
            several = sum(1 for p, o in wanted if p == prefix and o["analysis"] == e["analysis"]) > 1
            name = view.name(view.analysis(e["analysis"]))
            label = f"{name} · {view.title(e['term'])} · {phase}" if several else f"{name} · {phase}"
            text = _forest_text(prefix + e["id"], e)
        strong = not prefix and bool(cohort) and e["id"] == cohort[-1]
        rows.append(draw.ForestRow(label, numbers["estimate"], numbers["low"], numbers["high"], text, strong))
    return rows


def _forest_text(key: str, estimate: Mapping[str, Any]) -> list[draw.Piece]:
    if estimate["estimate"] is None:
        return [DASH]
    parts: list[draw.Piece] = [(number_text(key, estimate["estimate"]), key)]
    if estimate["low"] is not None:
        low, high = (number_text(f"{key}/{f}", estimate[f]) for f in ("low", "high"))
        parts += [" (", (low, f"{key}/low"), "–", (high, f"{key}/high"), ")"]
    return parts


def _forest(result: Mapping[str, Any], lang: str) -> str:
    view = _Page(result, lang)
    words = view.texts["words"]
    return draw.forest(
        _forest_rows(result, lang, view),
        title=words["forest"],
        desc=words["forest_desc"],
        axis=words["axis"],
        tick_ids="forest/tick/",
    )


def figures(result: Mapping[str, Any]) -> dict[str, str]:
    """The report's figures as SVG: ``forest`` and ``flow`` in Chinese, ``forest.en`` and ``flow.en`` in English."""
    drawn: dict[str, str] = {}
    for lang, suffix in (("zh", ""), ("en", ".en")):
        drawn[f"forest{suffix}"] = _forest(result, lang)
        if result["flow"]:
            drawn[f"flow{suffix}"] = draw.flow(result["flow"], lang=lang, ids="flow")
    return drawn


def render_html(result: Mapping[str, Any], lang: str) -> str:
    """The report as one self-contained HTML page.

    Args:
        result: from `results` (or results.json read back).
        lang: zh or en.

    Returns:
        HTML; the same bytes for the same results.
    """
    view = _Page(result, lang)
    return page(
        environment("meddata_pipeline.study"),
        "report.html",
        lang=lang,
        texts=view.texts,
        title=result["title"][lang],
        question=result["question"][lang] if result["question"] else "",
        as_of=result["as_of"],
        demo=result["demo"],
        main=view.main(),
        flow=draw.flow(result["flow"], lang=lang, ids="flow") if result["flow"] else "",
        tables=view.tables(),
        effects=view.effect_rows(),
        others=view.other_rows(),
        forest=_forest(result, lang),
        protection=view.protection(),
        methods=view.methods(),
        limitations=view.limitations(),
        suppression=view.suppression(),
    )
