"""The gate at run time: quick, offline, and strict on what is mandatory."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rdflib import URIRef

from meddata_pipeline.catalog.exporters import dcat_ap
from meddata_pipeline.catalog.validation import gate, load_graph, shape_files, validate
from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline_tests.unit.catalog.example import release

DCAT, DCT, SPDX = "http://www.w3.org/ns/dcat#", "http://purl.org/dc/terms/", "http://spdx.org/rdf/terms#"


def test_a_complete_entry_passes_quickly() -> None:
    graph = dcat_ap.to_graph(release())
    start = time.process_time()
    assert gate(graph, "inflammation-pulpitis 1.2") == []
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    "predicate",
    [
        DCT + "title",
        DCT + "description",
        DCT + "publisher",
        DCT + "accessRights",
        DCAT + "contactPoint",
        DCAT + "distribution",
        DCAT + "accessURL",
        DCT + "license",
        SPDX + "checksumValue",
        "http://xmlns.com/foaf/0.1/name",
        "http://www.w3.org/2004/02/skos/core#prefLabel",
    ],
)
def test_each_missing_property_is_refused_with_a_reason(predicate: str) -> None:
    graph = dcat_ap.to_graph(release())
    graph.remove((None, URIRef(predicate), None))
    with pytest.raises(Refused) as caught:
        gate(graph, "inflammation-pulpitis 1.2")
    assert {reason.code for reason in caught.value.reasons} == {"catalog-entry"}
    assert any(predicate.replace("#", "/").rpartition("/")[2] in reason.detail for reason in caught.value.reasons)


def test_imports_are_not_followed(tmp_path: Path) -> None:
    shapes = tmp_path / "shapes.ttl"
    shapes.write_text(
        "@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix sh: <http://www.w3.org/ns/shacl#> .\n"
        "<urn:x> a owl:Ontology ; owl:imports <http://unreachable.invalid/shapes.ttl> .\n"
        "<urn:s> a sh:NodeShape ; sh:targetClass <http://www.w3.org/ns/dcat#Dataset> ;\n"
        "  sh:property [ sh:path <urn:nowhere> ; sh:minCount 1 ; sh:severity sh:Warning ] , <urn:dangling> .\n"
    )
    results = validate(dcat_ap.to_graph(release()), [tmp_path])
    assert [(row["severity"], row["path"]) for row in results] == [("Warning", "urn:nowhere")]


def test_a_folder_without_shapes_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No shapes"):
        shape_files([tmp_path])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("entry.ttl", "<a b"),
        ("entry.jsonld", "{"),
        ("entry.jsonld", '{"@context": "http://unreachable.invalid/c", "@id": "urn:x"}'),
        ("entry.txt", ""),
    ],
)
def test_entries_that_are_none(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadInput):
        load_graph(path)
