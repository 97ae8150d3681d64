"""The static bilingual site: an index of products and a page for each, derived from committed releases only.

Belongs here: which pages exist, where they lie, what they are given. Does not belong here: what a number means
(description), how a page looks (templates), serving it.

Everything is relative, so that the site works from a folder and from any web server that serves the home's `catalog`
and `products` folders. Equal descriptions give equal bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from meddata_pipeline.catalog import drawings
from meddata_pipeline.catalog.description import Description, Effect, from_json, newest
from meddata_pipeline.catalog.exporters import dcat_ap
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.render.html import DASH, environment, in_language, number, page, yuan
from meddata_pipeline.render.texts import load_texts
from meddata_pipeline.storage.files import PUBLIC_FILE, write_atomic

PACKAGE = "meddata_pipeline.catalog"
DESCRIPTION = "description.json"
ENTRY_TURTLE, ENTRY_JSONLD = "entry.ttl", "entry.jsonld"
_PAGES = {"zh": "index.html", "en": "en.html"}


def committed(home: Path) -> list[Description]:
    """The descriptions of every committed version, with the digest and the demo mark of its commit.

    Args:
        home: The home folder; `products/<id>/commits/*.json` says what is published.

    Raises:
        BadInput: A committed version has no description.
    """
    found = []
    for commit in sorted(home.glob("products/*/commits/*.json")):
        facts = json.loads(commit.read_bytes())
        folder = commit.parent.parent / facts["version"]
        try:
            description = from_json((folder / DESCRIPTION).read_bytes())
        except FileNotFoundError:
            raise BadInput(
                "A committed version has no description",
                where=f"{folder.parent.name} {folder.name}",
                next_step="Restore the version's folder from the backup",
            ) from None
        marks = {"digest": facts["digest"], "demo": bool(facts.get("demo")) or description.demo}
        found.append(description.model_copy(update=marks))
    return found


def interval_text(effect: Effect, joint: str = "–") -> str:
    """Estimate with its interval, rounded as published: `1.29 (1.15–1.45)`."""
    point = number(effect.estimate, effect.digits)
    if effect.low is None or effect.high is None:
        return point
    return f"{point} ({number(effect.low, effect.digits)}{joint}{number(effect.high, effect.digits)})"


def _price_text(d: Description) -> str:
    if d.price is None:
        return DASH
    low, high = yuan(d.price.low), yuan(d.price.high)
    return low if low == high else f"{low} – {high}"


def _figures(home: Path, d: Description, lang: str) -> list[dict[str, Any]]:
    shown = []
    for index, figure in enumerate(d.figures):
        path = home / "products" / d.id / d.version / figure.path
        try:
            svg = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise BadInput("A figure of the release is missing", where=f"{d.id} {d.version}, {figure.path}") from None
        shown.append({"svg": svg, "prefix": f"f{index}", "figure": figure})
    return shown


def _effects(d: Description, lang: str) -> list[dict[str, Any]]:
    words = load_texts(PACKAGE)[lang]["phases"]
    rows = []
    for effect in d.effects:
        label = f"{effect.title.get(lang)}: {interval_text(effect)}, {words[effect.phase]}"
        svg = drawings.interval(effect, d.effects, label)
        rows.append({"effect": effect, "text": interval_text(effect), "svg": svg})
    return rows


def _search_text(d: Description) -> str:
    words = load_texts(PACKAGE)
    texts = [d.id, d.title.zh, d.title.en, *(t for keyword in d.keywords for t in (keyword.zh, keyword.en))]
    texts += [words[lang]["forms"][d.form] for lang in ("zh", "en")]
    return " ".join(texts).lower()


def _index_page(groups: Sequence[Sequence[Description]], lang: str) -> str:
    texts = load_texts(PACKAGE)[lang]
    cards = [
        {
            "d": versions[0],
            "price": _price_text(versions[0]),
            "effect": interval_text(versions[0].headline) if versions[0].headline else None,
            "search": _search_text(versions[0]),
            "link": f"products/{versions[0].id}/{_PAGES[lang]}",
        }
        for versions in groups
    ]
    env = environment(PACKAGE)
    script = env.get_template("search.js").render(found=texts["site"]["found"], nothing=texts["site"]["none_found"])
    return page(
        env,
        "index.html",
        lang=lang,
        tx=texts,
        cards=cards,
        demo=any(versions[0].demo for versions in groups),
        as_of=max((versions[0].as_of for versions in groups), default=None),
        translation=_PAGES["en" if lang == "zh" else "zh"],
        script=script if cards else "",
    )


def _product_page(home: Path, versions: Sequence[Description], lang: str) -> str:
    d = versions[0]
    texts = load_texts(PACKAGE)[lang]
    crowd = ""
    if d.risk:
        crowd = drawings.crowd(d.risk.k, f"k = {d.risk.k}: {texts['product']['k_note']}")
    return page(
        environment(PACKAGE),
        "product.html",
        lang=lang,
        tx=texts,
        d=d,
        versions=versions,
        price=_price_text(d),
        effects=_effects(d, lang),
        figures=_figures(home, d, lang),
        crowd=crowd,
        lineage_wide=drawings.lineage(d.steps, lang) if d.steps else "",
        lineage_tall=drawings.lineage(d.steps, lang, tall=True) if d.steps else "",
        reports=d.with_role("report", lang) or d.with_role("report"),
        released=[column for column in d.columns if column.withheld is None],
        withheld=[column for column in d.columns if column.withheld is not None],
        files=f"../../../products/{d.id}/{d.version}/",
        entries=(ENTRY_TURTLE, ENTRY_JSONLD),
        home=f"../../{_PAGES[lang]}",
        keywords=[in_language(keyword, lang) for keyword in d.keywords],
        translation=_PAGES["en" if lang == "zh" else "zh"],
    )


def build(home: Path, descriptions: Iterable[Description], *, base: str = dcat_ap.BASE) -> list[Path]:
    """Write the site.

    Pages of products that are no longer described are removed, everything else is replaced file by file.

    Args:
        home: The home folder; the site goes to `<home>/catalog`, figures come from `<home>/products`.
        descriptions: Every published version, for instance from `committed`; the newest of a product makes its page,
            the others its history.
        base: Prefix of identifiers in the machine-readable catalogue.

    Returns:
        The files of the site, in the order written.

    Raises:
        BadInput: A figure is missing, or one version is described twice.
    """
    groups = newest(descriptions)
    root = home / "catalog"
    pages: dict[str, bytes] = {}
    for lang, name in _PAGES.items():
        for versions in groups:
            pages[f"products/{versions[0].id}/{name}"] = _product_page(home, versions, lang).encode()
        pages[name] = _index_page(groups, lang).encode()
    if groups:
        graph = dcat_ap.catalog_graph([d for versions in groups for d in versions], base=base)
        pages["catalog.ttl"] = dcat_ap.to_turtle(graph)
        pages["catalog.jsonld"] = dcat_ap.to_jsonld(graph)
    written = []
    for name in sorted(pages, key=lambda name: (not name.startswith("products/"), name)):
        write_atomic(root / name, pages[name], mode=PUBLIC_FILE)
        written.append(root / name)
    known = {versions[0].id for versions in groups}
    for folder in sorted((root / "products").glob("*")):
        if folder.name not in known:
            shutil.rmtree(folder)
    return written
