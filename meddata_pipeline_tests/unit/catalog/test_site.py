"""The site: links that lead somewhere, escaping, determinism, history, tombstones."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from meddata_pipeline.catalog import drawings, site
from meddata_pipeline.catalog.description import Description, Step
from meddata_pipeline.catalog.exporters import dcat_ap
from meddata_pipeline.core.errors import BadInput
from meddata_pipeline.core.text import Text
from meddata_pipeline_tests.unit.catalog.example import release, write_files

COHORT = "inflammation-pulpitis-cohort"


class _Page(HTMLParser):
    """Links, ids, headings and the labels of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("href"):
            self.links.append(str(values["href"]))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("aria-labelledby", "aria-describedby", "for"):
            self.references += (values.get(name) or "").split()
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))


def _write(home: Path, *descriptions: Description) -> list[Path]:
    write_files(home, *descriptions)
    for d in descriptions:
        folder = home / "products" / d.id / d.version
        graph = dcat_ap.to_graph(d)
        (folder / "entry.ttl").write_bytes(dcat_ap.to_turtle(graph))
        (folder / "entry.jsonld").write_bytes(dcat_ap.to_jsonld(graph))
    return site.build(home, descriptions)


def test_every_link_of_every_page_leads_somewhere(tmp_path: Path) -> None:
    written = _write(tmp_path, release(), release(version="1.1"), release(COHORT))
    pages = [path for path in written if path.suffix == ".html"]
    assert len(pages) == 6
    for path in pages:
        parsed = _Page(path.read_text(encoding="utf-8"))
        assert len(set(parsed.ids)) == len(parsed.ids), path
        assert set(parsed.references) <= set(parsed.ids), path
        assert parsed.headings.count(1) == 1
        assert all(b - a <= 1 for a, b in zip(parsed.headings, parsed.headings[1:], strict=False))
        for link in parsed.links:
            if link.startswith("#"):
                assert link[1:] in parsed.ids
            elif not re.match(r"(https|mailto|data):", link):
                assert (path.parent / unquote(link)).resolve().is_file(), f"{path.name}: {link}"


def test_same_releases_give_the_same_bytes(tmp_path: Path) -> None:
    several = [release(), release(version="1.1"), release(COHORT)]
    first = {p.relative_to(tmp_path / "a"): p.read_bytes() for p in _write(tmp_path / "a", *several)}
    second = {p.relative_to(tmp_path / "b"): p.read_bytes() for p in _write(tmp_path / "b", *several[::-1])}
    assert first == second
    assert not list(tmp_path.rglob("*.part"))


def test_texts_of_a_product_can_not_become_markup(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    title = {"zh": evil, "en": evil}
    d = release(title=title, keywords=[evil], terms=[evil], legal_label=evil, notes=evil)
    for path in _write(tmp_path, d):
        if path.suffix == ".html":
            assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_page_shows_the_published_numbers_in_both_languages(tmp_path: Path) -> None:
    _write(tmp_path, release(persons="<1,900"))
    folder = tmp_path / "catalog/products/inflammation-pulpitis"
    zh, en = ((folder / name).read_text(encoding="utf-8") for name in ("index.html", "en.html"))
    for shown in ("1.29 (1.15–1.45)", "1.30 (1.16–1.46)", "¥186,000 – ¥312,501", "9.09 %", "&lt;1,900", "#5c5c5c5c"):
        assert shown in zh, shown
        assert shown in en, shown
    assert "去标识化信息（仍为个人信息）" in zh
    assert "De-identified (still personal information)" in en
    assert "病历文本" in zh


def test_demo_releases_say_so_and_others_do_not(tmp_path: Path) -> None:
    real = release(COHORT, demo=False, signatures=[])
    _write(tmp_path, release(), real)
    pages = tmp_path / "catalog/products"
    for name in ("index.html", "en.html"):
        assert "demo – NOT FOR REAL DATA" in (pages / "inflammation-pulpitis" / name).read_text(encoding="utf-8")
        assert "NOT FOR REAL DATA" not in (pages / COHORT / name).read_text(encoding="utf-8")


def test_withdrawn_product_keeps_its_page_and_loses_its_price(tmp_path: Path) -> None:
    _write(tmp_path, release(status="withdrawn"))
    text = (tmp_path / "catalog/products/inflammation-pulpitis/en.html").read_text(encoding="utf-8")
    assert "This version was withdrawn" in text
    assert "How to ask for it" not in text
    assert "¥" not in text


def test_pages_of_vanished_products_go(tmp_path: Path) -> None:
    _write(tmp_path, release(), release(COHORT))
    site.build(tmp_path, [release()])
    assert not (tmp_path / "catalog/products" / COHORT).exists()
    assert (tmp_path / "catalog/products/inflammation-pulpitis/index.html").is_file()


def test_empty_catalogue_is_a_page(tmp_path: Path) -> None:
    written = site.build(tmp_path, [])
    assert sorted(path.name for path in written) == ["en.html", "index.html"]
    assert "Nothing is published yet" in (tmp_path / "catalog/en.html").read_text(encoding="utf-8")


def test_missing_figure_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"figures/forest\.svg"):
        site.build(tmp_path, [release()])


def test_only_committed_versions_are_read(tmp_path: Path) -> None:
    write_files(tmp_path, release(demo=False), release(version="1.3"))
    for version in ("1.2", "1.3"):
        d = release(version=version, demo=False, digest="")
        (tmp_path / "products" / d.id / version / "description.json").write_bytes(d.to_json())
    commits = tmp_path / "products/inflammation-pulpitis/commits"
    commits.mkdir()
    (commits / "1.json").write_text(json.dumps({"version": "1.2", "digest": "ab" * 32, "demo": True}))
    found = site.committed(tmp_path)
    assert [(d.version, d.digest, d.demo) for d in found] == [("1.2", "ab" * 32, True)]
    (commits / "2.json").write_text(json.dumps({"version": "1.4", "digest": "ab" * 32}))
    with pytest.raises(BadInput, match=r"inflammation-pulpitis 1\.4"):
        site.committed(tmp_path)


def test_files_are_readable_by_a_web_server(tmp_path: Path) -> None:
    for path in _write(tmp_path, release()):
        assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_lineage_of_any_length_is_a_drawing(count: int, tall: bool) -> None:
    names = ["landing", "records", "deid", "cohort", "candidate", "release"][-count:]
    steps = [Step(id=name, title=Text(zh="很长的步骤名称<需要换行>", en="a & b"), rows_out="<10") for name in names]
    svg = drawings.lineage(steps, "zh", tall=tall)
    assert svg.count("<rect") == count + (1 if count > 1 else 0)
    assert "<需要" not in svg
    assert "&lt;10" in svg
