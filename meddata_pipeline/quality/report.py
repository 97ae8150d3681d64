"""The data quality evaluation report (数据质量评估报告) for people: one HTML page and two PDF pages, in zh and en.

What belongs here: turning an evaluation into the words and figures that both forms show; a number is spelled once, so
that they cannot differ. What does not: counting (evaluation.py). Texts are in report_texts.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from meddata_pipeline.quality.checks import DIMENSIONS
from meddata_pipeline.quality.evaluation import CATEGORIES, CONTEXTS, SEVERITIES
from meddata_pipeline.render.figures import bars, matrix, text_width, trend
from meddata_pipeline.render.html import environment, in_language, number, page
from meddata_pipeline.render.pdf import pdf
from meddata_pipeline.render.texts import load_texts

_PACKAGE = "meddata_pipeline.quality"
# What two pages hold; the whole of it stands in the HTML page and in the JSON.
_RULES_SHOWN = 9
_FILES_SHOWN = 6
_NAMES_SHOWN = 12
_VERSIONS_SHOWN = 8
_DIGITS = 3
_RULE_WIDTH = 390.0


def _cut(text: str, width: float) -> str:
    """A text that fits on a line of this width, in pixels of render/figures.py."""
    if text_width(text) <= width:
        return text
    while text and text_width(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _names(listed: Sequence[str], lang: str) -> str:
    shown = [*listed[:_NAMES_SHOWN], *(["…"] if len(listed) > _NAMES_SHOWN else [])]
    return ("、" if lang == "zh" else ", ").join(shown)


def _figures(e: Mapping[str, Any], tx: Mapping[str, Any], lang: str) -> dict[str, str]:
    titles = [DIMENSIONS[d["dimension"]].get(lang) for d in e["dimensions"]]
    shares = {(k["category"], k["context"]): k for k in e["kahn"]}
    cells = [
        [
            (k["passed"] / k["checks"] if k["checks"] else None, [f"{k['passed']} / {k['checks']}"])
            for context in CONTEXTS
            for k in [shares[category, context]]
        ]
        for category in CATEGORIES
    ]
    counts = [e["counts"]["by_severity"][name] for name in SEVERITIES]
    missed = [n["failed"] + n["errored"] for n in counts]
    versions = e["trend"][-_VERSIONS_SHOWN:]
    return {
        "scores": bars(
            titles,
            [d["score"] for d in e["dimensions"]],
            title=tx["scores"]["figure"],
            texts=[[number(d["score"], _DIGITS)] for d in e["dimensions"]],
            highest=1.0,
        ),
        "kahn": matrix(
            [tx["kahn"]["categories"][name] for name in CATEGORIES],
            [tx["kahn"]["contexts"][name] for name in CONTEXTS],
            cells,
            title=tx["kahn"]["figure"],
        ),
        "severity": bars(
            [tx["severity"]["names"][name] for name in SEVERITIES],
            [float(n) for n in missed],
            title=tx["severity"]["figure"],
            texts=[[f"{n} / {of['checks']}"] for n, of in zip(missed, counts, strict=True)],
            highest=float(max([*(of["checks"] for of in counts), 1])),
        ),
        "trend": trend(
            [entry["version"] for entry in versions],
            {
                DIMENSIONS[name].get(lang): [entry["scores"].get(name) for entry in versions]
                for name in DIMENSIONS
                if any(entry["scores"].get(name) is not None for entry in versions)
            },
            title=tx["trend"]["figure"],
            texts="–",
        ),
    }


def _open(e: Mapping[str, Any], tx: Mapping[str, Any], lang: str) -> list[str]:
    texts = []
    for item in e["not_evaluated"]:
        names = item.get("names", [])
        if item["id"] == "dimensions":
            names = [DIMENSIONS[name].get(lang) for name in names]
        texts.append(tx["open"][item["id"]].format(names=_names(names, lang), count=item.get("count", 0)))
    return texts


def _view(e: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Everything that either form shows, spelled."""
    tx = load_texts(_PACKAGE, "report_texts.yaml")[lang]
    counts, words = e["counts"], tx["verdict"]
    verdict = [words["met"] if e["passed"] else words["not_met"].format(count=len(e["blocking"]))]
    verdict.append(words["counts"].format(**{k: counts[k] for k in ("checks", "passed", "failed", "errored")}))
    verdict.append(words["overall"].format(score=number(e["score"], _DIGITS)))
    if (again := e["reproduced"]) is not None:
        same = again["checks"] - len(again["differ"])
        verdict.append(words["reproduced"].format(checks=again["checks"], same=same))
    f = tx["facts"]
    facts = [
        [f["product"], f"{in_language(e['title'], lang)} ({e['product']})"],
        [f["version"], e["version"]],
        [f["as_of"], e["as_of"]],
        [f["rows"], number(e["rows"])],
        [f["contract"], f"{e['contract']['id']} {e['contract']['version']}"],
        [f["evaluator"], in_language(e["evaluator"]["name"], lang)],
        [f["kind"], tx["kinds"][e["kind"]]],
    ]
    if e["evaluator"].get("key"):
        facts.append([f["key"], e["evaluator"]["key"]])
    s = tx["severity"]
    return {
        "title": tx["title"],
        "tx": tx,
        "banner": tx["demo_banner"] if e["demo"] else "",
        "kind": tx["kinds"][e["kind"]],
        "passed": e["passed"],
        "verdict": verdict,
        "facts": facts,
        "scores": [
            [
                DIMENSIONS[d["dimension"]].get(lang),
                number(d["score"], _DIGITS),
                f"{d['weight_passed']} / {d['weight']}",
                number(d["checks"]),
                number(d["failed"] + d["errored"]),
            ]
            for d in e["dimensions"]
        ],
        "not_passed": [
            [
                f"{c['id']} · {in_language(c['title'], lang)}",
                s["names"][c["severity"]],
                s["statuses"][c["status"]],
                number(c["failed_rows"]),
            ]
            for c in e["not_passed"]
        ],
        "files": [
            *([tx["evidence"]["data"], entry["path"], entry["sha256"]] for entry in e["data"]),
            *([tx["evidence"]["rules"], entry["path"], entry["sha256"]] for entry in e["rules"]),
        ],
        "open": _open(e, tx, lang),
        "reservations": list(e["reservations"]),
        "figures": _figures(e, tx, lang),
        "footer": tx["legal"],
    }


def render_html(e: Mapping[str, Any], lang: str, *, translation: str | None = None) -> str:
    """The report as one self-contained HTML page.

    Args:
        e: from :func:`meddata_pipeline.quality.evaluation.evaluation`.
        lang: ``zh`` or ``en``.
        translation: relative link to the page in the other language.
    """
    return page(environment(_PACKAGE), "quality.html", lang=lang, translation=translation, v=_view(e, lang))


def render_pdf(e: Mapping[str, Any], lang: str) -> bytes:
    """The report as two PDF pages; arguments as in :func:`render_html`."""
    view = _view(e, lang)
    more = len(view["not_passed"]) - _RULES_SHOWN
    files = len(view["files"]) - _FILES_SHOWN
    shown = {
        **view,
        "not_passed": [[_cut(row[0], _RULE_WIDTH), *row[1:]] for row in view["not_passed"][:_RULES_SHOWN]],
        "not_passed_more": view["tx"]["severity"]["more"].format(count=more) if more > 0 else "",
        "files": view["files"][:_FILES_SHOWN],
        "files_more": view["tx"]["evidence"]["more"].format(count=files) if files > 0 else "",
    }
    return pdf(_PACKAGE, "quality.typ", shown, lang=lang, title=view["title"], as_of=date.fromisoformat(e["as_of"]))


def files(e: Mapping[str, Any]) -> dict[str, bytes]:
    """Both forms in both languages, by file name: ``quality.<lang>.<html|pdf>``."""
    made: dict[str, bytes] = {}
    for lang, other in (("zh", "en"), ("en", "zh")):
        made[f"quality.{lang}.html"] = render_html(e, lang, translation=f"quality.{other}.html").encode()
        made[f"quality.{lang}.pdf"] = render_pdf(e, lang)
    return made
