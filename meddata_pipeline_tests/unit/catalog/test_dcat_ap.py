"""DCAT-AP: the official shapes, determinism, and that both spellings say the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rdflib import RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from meddata_pipeline.catalog.description import Description
from meddata_pipeline.catalog.exporters import dcat_ap
from meddata_pipeline.catalog.validation import validate
from meddata_pipeline_tests.shared import shared
from meddata_pipeline_tests.unit.catalog.example import release

DCAT = "http://www.w3.org/ns/dcat#"
DCT = "http://purl.org/dc/terms/"
SHAPES = "data/catalog/dcat-ap-3/releases/3.0.1"
ROOT = Path(__file__).resolve().parents[3]

RELEASES: dict[str, Description] = {
    "report": release(),
    "microdata": release("inflammation-pulpitis-cohort"),
    "controlled": release("inflammation-pulpitis-cohort", access="controlled", demo=False),
    "least": release(
        keywords=["pulpitis"],
        columns=[],
        quality=[],
        risk=None,
        price=None,
        effects=[],
        steps=[],
        signatures=[],
        figures=[],
        terms=[],
        notes="",
        legal_label="",
        legal_reason="",
        demo=False,
    ),
    "abroad": release(spatial=["USA", "CHN"]),
}


def _parsed(data: bytes, kind: str) -> Graph:
    return Graph().parse(data=data, format=kind, publicID="https://base.example/products/p/1.2/entry")


@pytest.mark.parametrize("kind", ["turtle", "json-ld"])
@pytest.mark.parametrize("name", sorted(RELEASES))
def test_official_shapes_find_nothing(name: str, kind: str) -> None:
    folder = shared(SHAPES)
    graph = dcat_ap.to_graph(RELEASES[name])
    data = dcat_ap.to_turtle(graph) if kind == "turtle" else dcat_ap.to_jsonld(graph)
    core = [folder / "html/shacl" / f"{part}.ttl" for part in ("shapes", "range", "shapes_recommended")]
    assert validate(_parsed(data, kind), core) == []
    assert validate(_parsed(data, kind), [folder / "shacl"]) == []


def test_vocabulary_shapes_warn_of_nothing_but_the_publisher() -> None:
    # The shapes expect publishers to be in the EU's list of corporate bodies; a hospital in China is not, and says so.
    results = validate(dcat_ap.to_graph(RELEASES["report"]), [shared(SHAPES)])
    assert {(row["severity"], row["path"]) for row in results} == {("Warning", DCT + "publisher")}


def test_shapes_see_what_is_missing() -> None:
    graph = dcat_ap.to_graph(RELEASES["report"])
    graph.remove((None, URIRef(DCT + "title"), None))
    results = validate(graph, [shared(SHAPES)])
    assert "Violation" in {row["severity"] for row in results}


def test_whole_catalogue_conforms() -> None:
    everything = [release(), release(version="1.10"), release("inflammation-pulpitis-cohort"), RELEASES["controlled"]]
    graph = dcat_ap.catalog_graph(everything[:3])
    results = validate(graph, [shared(SHAPES)])
    assert {(row["severity"], row["path"]) for row in results} == {("Warning", DCT + "publisher")}
    assert len(set(graph.objects(None, URIRef(DCAT + "dataset")))) == 3


@pytest.mark.parametrize("name", sorted(RELEASES))
def test_turtle_and_jsonld_are_the_same_graph(name: str) -> None:
    graph = dcat_ap.to_graph(RELEASES[name])
    turtle = _parsed(dcat_ap.to_turtle(graph), "turtle")
    linked = _parsed(dcat_ap.to_jsonld(graph), "json-ld")
    assert len(turtle) == len(graph)
    assert isomorphic(turtle, linked)


def test_difficult_texts_survive() -> None:
    text = '引号 " 反斜杠 \\ 换行\n制表\t emoji 🦷 <b>&amp;'
    graph = dcat_ap.to_graph(release(title={"zh": text, "en": text}))
    for data, kind in ((dcat_ap.to_turtle(graph), "turtle"), (dcat_ap.to_jsonld(graph), "json-ld")):
        titles = set(_parsed(data, kind).objects(None, URIRef(DCT + "title")))
        assert Literal(text, lang="zh") in titles


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "from meddata_pipeline.catalog.exporters import dcat_ap as d\n"
        "from meddata_pipeline_tests.unit.catalog.example import release as r\n"
        "import hashlib\n"
        "g = d.catalog_graph([r(), r('inflammation-pulpitis-cohort')])\n"
        "print(hashlib.sha256(d.to_turtle(g) + d.to_jsonld(g)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "42")
    }
    assert len(digests) == 1


def test_order_of_the_parts_does_not_matter() -> None:
    forth = release()
    back = forth.model_copy(update={"files": forth.files[::-1], "keywords": forth.keywords[::-1]})
    assert dcat_ap.to_turtle(dcat_ap.to_graph(forth)) == dcat_ap.to_turtle(dcat_ap.to_graph(back))


def test_links_resolve_beside_the_entry() -> None:
    graph = _parsed(dcat_ap.to_turtle(dcat_ap.to_graph(release())), "turtle")
    urls = {str(url) for url in graph.objects(None, URIRef(DCAT + "accessURL"))}
    assert "https://base.example/products/p/1.2/results.json" in urls
    pages = {str(url) for url in graph.objects(None, URIRef(DCAT + "landingPage"))}
    assert pages == {"https://base.example/catalog/products/inflammation-pulpitis/index.html"}


def test_a_public_base_names_everything() -> None:
    graph = dcat_ap.to_graph(
        release(), base="https://c.example/", files="https://c.example/f/", page="https://c.example/p"
    )
    subject = next(graph.subjects(RDF.type, URIRef(DCAT + "Dataset")))
    assert str(subject) == "https://c.example/product/inflammation-pulpitis/version/1.2"
    names = {str(term) for triple in graph for term in triple if isinstance(term, URIRef)}
    assert not [name for name in names if ":" not in name or name.startswith("urn:")]


def test_controlled_files_are_not_offered_for_download() -> None:
    graph = dcat_ap.to_graph(RELEASES["controlled"])
    assert not set(graph.objects(None, URIRef(DCAT + "downloadURL")))
    rights = {str(o).rpartition("/")[2] for o in graph.objects(None, URIRef(DCT + "accessRights"))}
    assert rights == {"NON_PUBLIC"}


def test_price_is_exact_to_the_fen() -> None:
    graph = dcat_ap.to_graph(release(price={"low": 105, "high": 31_250_055}))
    found = {str(o) for p in ("lowPrice", "highPrice") for o in graph.objects(None, URIRef(f"http://schema.org/{p}"))}
    assert found == {"1.05", "312500.55"}


def test_jsonld_needs_no_network() -> None:
    document = json.loads(dcat_ap.to_jsonld(dcat_ap.to_graph(release())))
    assert all(isinstance(value, str) for value in document["@context"].values())


def test_catalogue_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one release"):
        dcat_ap.catalog_graph([])
