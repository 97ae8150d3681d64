"""DCAT-AP 3.0.1: a description as a graph, and graphs as Turtle and JSON-LD.

Belongs here: the mapping of description fields to DCAT-AP, and a serialisation whose bytes depend on the graph only.
Does not belong here: the terms of the vocabularies (catalog/vocabulary.yaml), validation (catalog/validation.py).

Every node has an IRI, so that equal descriptions give equal bytes. Identifiers stand under `base`; links to files stay
relative to the entry unless the caller says otherwise, because a release is read from a folder as it lies.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from meddata_pipeline.catalog.description import Description, File, newest
from meddata_pipeline.core.canonical import sha256_hex
from meddata_pipeline.core.config import load_yaml
from meddata_pipeline.core.text import Text
from meddata_pipeline.render.texts import load_texts

if TYPE_CHECKING:
    from rdflib import Graph
    from rdflib.term import Node, URIRef

BASE = "urn:meddata:"
NAMESPACES = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "schema": "http://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
# The published shapes ask for the https spelling of the algorithm's IRI; SPDX itself defines the http one.
_SHA256 = "https://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_SHA256_SPDX = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_IANA = "https://www.iana.org/assignments/media-types/"


@cache
def vocabulary() -> dict[str, Any]:
    """The terms of controlled vocabularies (catalog/vocabulary.yaml)."""
    from pathlib import Path

    return load_yaml(Path(__file__).resolve().parent.parent / "vocabulary.yaml")


class _Writer:
    """A graph under construction: short names for predicates, texts in both languages, vocabulary terms on demand."""

    def __init__(self, base: str) -> None:
        from rdflib import Graph

        self.base = base
        self.graph: Graph = Graph(bind_namespaces="none")
        for prefix, iri in NAMESPACES.items():
            self.graph.bind(prefix, iri)

    def name(self, short: str) -> URIRef:
        """The IRI of a prefixed name."""
        from rdflib import URIRef

        prefix, _, local = short.partition(":")
        return URIRef(NAMESPACES[prefix] + local)

    def iri(self, *parts: str) -> URIRef:
        """An identifier under the base, its parts joined by slashes."""
        from rdflib import URIRef

        return URIRef(self.base + "/".join(quote(part, safe="/#.-_~") for part in parts))

    def add(self, subject: Node, predicate: str, value: Node) -> None:
        """One triple."""
        self.graph.add((subject, self.name(predicate), value))

    def kind(self, subject: Node, *classes: str) -> None:
        """The classes of a node."""
        for short in classes:
            self.add(subject, "rdf:type", self.name(short))

    def text(self, subject: Node, predicate: str, text: Text) -> None:
        """A text as one literal per language; an empty language is left out."""
        from rdflib import Literal

        for lang, words in (("zh", text.zh), ("en", text.en)):
            if words:
                self.add(subject, predicate, Literal(words, lang=lang))

    def plain(self, subject: Node, predicate: str, value: str, datatype: str = "") -> None:
        """A literal, typed where a datatype is given."""
        from rdflib import Literal

        kind = self.name(datatype) if datatype else None
        self.add(subject, predicate, Literal(value, datatype=kind, normalize=False))

    def date(self, subject: Node, predicate: str, value: dt.date) -> None:
        """A date literal."""
        self.plain(subject, predicate, value.isoformat(), "xsd:date")

    def document(self, subject: Node, predicate: str, link: str) -> None:
        """A link to a page."""
        from rdflib import URIRef

        page = URIRef(link)
        self.kind(page, "foaf:Document")
        self.add(subject, predicate, page)

    def term(self, scheme: str, code: str, label: Text, *classes: str) -> URIRef:
        """A concept of a controlled vocabulary, with the label and the scheme that make it readable offline."""
        from rdflib import URIRef

        entry = vocabulary()["schemes"][scheme]
        concept, home = URIRef(f"{entry.get('base', entry['iri'])}/{code}"), URIRef(entry["iri"])
        self.kind(concept, "skos:Concept", *classes)
        self.text(concept, "skos:prefLabel", label)
        self.add(concept, "skos:inScheme", home)
        self.kind(home, "skos:ConceptScheme")
        self.plain(home, "dct:title", entry["title"])
        return concept


def _text(entry: dict[str, str]) -> Text:
    return Text(zh=entry["zh"], en=entry["en"])


def _digest(*texts: str) -> str:
    return sha256_hex("\n".join(texts).encode())[:16]


def _language(w: _Writer, subject: Node, lang: str) -> None:
    entry = vocabulary()["languages"][lang]
    w.add(subject, "dct:language", w.term("language", entry["code"], _text(entry), "dct:LinguisticSystem"))


def _place(w: _Writer, subject: Node, code: str) -> None:
    entry = vocabulary()["places"].get(code)
    label = _text(entry) if entry else Text(zh=code, en=code)
    place = w.term("country", code, label, "dct:Location")
    if entry:
        west, south, east, north = entry["box"]
        x, y = entry["centre"]
        ring = f"{west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}"
        w.plain(place, "dcat:bbox", f"POLYGON(({ring}))")
        w.plain(place, "dcat:centroid", f"POINT({x} {y})")
    w.add(subject, "dct:spatial", place)


def _theme(w: _Writer, subject: Node, code: str) -> None:
    known = vocabulary()["themes"].get(code)
    w.add(subject, "dcat:theme", w.term("data-theme", code, _text(known) if known else Text(zh=code, en=code)))


def _publisher(w: _Writer, subject: Node, d: Description) -> None:
    agent = w.iri("agent", _digest(d.publisher.name.zh, d.publisher.name.en))
    w.kind(agent, "foaf:Agent")
    w.text(agent, "foaf:name", d.publisher.name)
    known = vocabulary()["publishers"].get(d.publisher.kind)
    label = _text(known) if known else Text(zh=d.publisher.kind, en=d.publisher.kind)
    w.add(agent, "dct:type", w.term("publisher-type", d.publisher.kind, label))
    if d.publisher.url:
        w.document(agent, "foaf:homepage", d.publisher.url)
    w.add(subject, "dct:publisher", agent)


def _contact(w: _Writer, subject: Node, d: Description) -> None:
    from rdflib import URIRef

    c = d.contact
    node = w.iri("contact", _digest(c.name.zh, c.name.en, c.email or "", c.url or ""))
    w.kind(node, "vcard:Kind", "vcard:Organization")
    w.text(node, "vcard:fn", c.name)
    if c.email:
        w.add(node, "vcard:hasEmail", URIRef(f"mailto:{quote(c.email, safe='@.+-_')}"))
    if c.url:
        w.add(node, "vcard:hasURL", URIRef(c.url))
    w.add(subject, "dcat:contactPoint", node)


def _licence(w: _Writer, subject: Node, licence: Text) -> None:
    node = w.iri("licence", _digest(licence.zh, licence.en))
    w.kind(node, "dct:LicenseDocument")
    w.text(node, "rdfs:label", licence)
    entry = vocabulary()["licence"]
    w.add(node, "dct:type", w.term("licence-type", entry["code"], _text(entry)))
    w.add(subject, "dct:license", node)


def _joined(texts: Iterable[Text], separator: str) -> Text:
    parts = list(texts)
    return Text(zh=separator.join(t.zh for t in parts if t.zh), en=separator.join(t.en for t in parts if t.en))


def _distribution(w: _Writer, dataset: URIRef, d: Description, file: File, files: str) -> None:
    from rdflib import URIRef

    words = load_texts("meddata_pipeline.catalog")
    node, link = w.iri(*_names(d), "file", file.path), URIRef(files + quote(file.path))
    w.kind(node, "dcat:Distribution")
    w.text(node, "dct:title", file.title)
    role = Text(zh=words["zh"]["roles"][file.role], en=words["en"]["roles"][file.role])
    w.text(node, "dct:description", _joined([role, file.title], " · "))
    w.add(node, "dcat:accessURL", link)
    if d.access == "download":
        w.add(node, "dcat:downloadURL", link)
    w.plain(node, "dcat:byteSize", str(file.bytes), "xsd:nonNegativeInteger")
    media = URIRef(_IANA + file.media_type)
    w.kind(media, "dct:MediaType")
    w.add(node, "dcat:mediaType", media)
    known = vocabulary()["media_types"].get(file.media_type)
    if known:
        label = Text(zh=known["label"], en=known["label"])
        # One file type can carry two labels (Text, Markdown); the code itself is the label that never differs.
        label = label if known["code"] != "TXT" else Text(zh="TXT", en="TXT")
        w.add(node, "dct:format", w.term("file-type", known["code"], label, "dct:MediaTypeOrExtent"))
    checksum, algorithm = w.iri(*_names(d), "file", file.path + "#sha256"), URIRef(_SHA256)
    w.kind(checksum, "spdx:Checksum")
    w.kind(algorithm, "spdx:ChecksumAlgorithm")
    w.add(algorithm, "owl:sameAs", URIRef(_SHA256_SPDX))
    w.add(checksum, "spdx:algorithm", algorithm)
    w.plain(checksum, "spdx:checksumValue", file.sha256, "xsd:hexBinary")
    w.add(node, "spdx:checksum", checksum)
    entry = vocabulary()["availability"]
    w.add(node, "dcatap:availability", w.term("availability", entry["code"], _text(entry)))
    _licence(w, node, _licence_text(d))
    rights = w.iri(*_names(d), "rights")
    w.kind(rights, "dct:RightsStatement")
    w.text(rights, "rdfs:label", _joined([d.legal_label, d.legal_reason, *d.terms], " · "))
    w.add(node, "dct:rights", rights)
    w.date(node, "dct:issued", d.as_of)
    for lang in (file.lang,) if file.lang else ("zh", "en"):
        _language(w, node, lang)
    w.add(dataset, "dcat:distribution", node)


def _licence_text(d: Description) -> Text:
    words = load_texts("meddata_pipeline.catalog")
    default = Text(zh=words["zh"]["licence_default"], en=words["en"]["licence_default"])
    return Text(zh=d.licence.zh or default.zh, en=d.licence.en or default.en)


def _names(d: Description) -> tuple[str, ...]:
    return ("product", d.id, "version", d.version)


def _series(w: _Writer, d: Description) -> URIRef:
    node = w.iri("product", d.id)
    w.kind(node, "dcat:DatasetSeries")
    w.text(node, "dct:title", d.title)
    w.text(node, "dct:description", d.description)
    _publisher(w, node, d)
    _contact(w, node, d)
    return node


def _quality(w: _Writer, dataset: URIRef, d: Description) -> None:
    for score in d.quality:
        node, metric = w.iri(*_names(d), "quality", score.dimension), w.iri("quality-dimension", score.dimension)
        w.kind(node, "dqv:QualityMeasurement")
        w.kind(metric, "dqv:Metric")
        w.text(metric, "rdfs:label", score.title)
        w.add(node, "dqv:isMeasurementOf", metric)
        w.add(node, "dqv:computedOn", dataset)
        w.plain(node, "dqv:value", format(score.score, ".4f"), "xsd:decimal")
        w.add(dataset, "dqv:hasQualityMeasurement", node)


def _offer(w: _Writer, dataset: URIRef, d: Description) -> None:
    if d.price is None:
        return
    node = w.iri(*_names(d), "offer")
    w.kind(node, "schema:AggregateOffer")
    for predicate, fen in (("schema:lowPrice", d.price.low), ("schema:highPrice", d.price.high)):
        w.plain(node, predicate, f"{fen // 100}.{fen % 100:02d}", "xsd:decimal")
    w.plain(node, "schema:priceCurrency", d.price.currency)
    w.add(dataset, "schema:offers", node)


def _dataset(w: _Writer, d: Description, files: str, page: str) -> URIRef:
    from rdflib import URIRef

    node = w.iri(*_names(d))
    w.kind(node, "dcat:Dataset")
    w.text(node, "dct:title", d.title)
    w.text(node, "dct:description", d.description)
    for keyword in d.keywords:
        w.text(node, "dcat:keyword", keyword)
    w.plain(node, "dct:identifier", f"{d.id}/{d.version}")
    w.plain(node, "dcat:version", d.version)
    w.date(node, "dct:issued", d.as_of)
    w.date(node, "dct:modified", d.as_of)
    for lang in ("zh", "en"):
        _language(w, node, lang)
    for place in d.spatial:
        _place(w, node, place)
    if d.temporal_start and d.temporal_end:
        period = w.iri(*_names(d), "period")
        w.kind(period, "dct:PeriodOfTime")
        w.date(period, "dcat:startDate", d.temporal_start)
        w.date(period, "dcat:endDate", d.temporal_end)
        w.add(node, "dct:temporal", period)
    _theme(w, node, d.theme)
    _publisher(w, node, d)
    _contact(w, node, d)
    access = vocabulary()["access"][d.access]
    w.add(node, "dct:accessRights", w.term("access-right", access["code"], _text(access), "dct:RightsStatement"))
    w.document(node, "dcat:landingPage", page)
    w.add(node, "dcat:inSeries", _series(w, d))
    words = load_texts("meddata_pipeline.catalog")
    demo = Text(zh=words["zh"]["demo_note"], en=words["en"]["demo_note"]) if d.demo else Text(zh="", en="")
    w.text(node, "adms:versionNotes", _joined([demo, d.notes], " · "))
    if d.steps:
        origin, activity = w.iri(*_names(d), "provenance"), w.iri(*_names(d), "activity")
        way = _joined([step.title for step in d.steps], " → ")
        w.kind(origin, "dct:ProvenanceStatement")
        w.text(origin, "rdfs:label", way)
        w.add(node, "dct:provenance", origin)
        w.kind(activity, "prov:Activity")
        w.text(activity, "rdfs:label", way)
        w.add(node, "prov:wasGeneratedBy", activity)
    for report in d.with_role("report"):
        w.document(node, "foaf:page", files + quote(report.path))
    for file in d.files:
        _distribution(w, node, d, file, files)
    _quality(w, node, d)
    _offer(w, node, d)
    return URIRef(node)


def to_graph(description: Description, *, base: str = BASE, files: str = "", page: str | None = None) -> Graph:
    """One release as a DCAT-AP graph: a dataset in its series, with distributions, quality, price and provenance.

    Args:
        description: The release.
        base: Prefix of every identifier, for instance `https://catalogue.example/`.
        files: Prefix of links to the release's files. Empty: relative to the entry, which lies beside them.
        page: Link to the product's page. None: relative, from the version's folder to the site.

    Source:
        DCAT-AP 3.0.1 (SEMIC); DQV (W3C) for quality; schema.org AggregateOffer for the price range.
    """
    writer = _Writer(base)
    _dataset(writer, description, files, page or f"{files}../../../catalog/products/{description.id}/index.html")
    return writer.graph


def catalog_graph(descriptions: Iterable[Description], *, base: str = BASE) -> Graph:
    """The whole catalogue: every published release, with links relative to the site's folder.

    Args:
        descriptions: At least one release.
        base: Prefix of every identifier.

    Raises:
        ValueError: There is no release; a catalogue without a dataset is not a DCAT-AP catalogue.
    """
    from rdflib import URIRef

    groups = newest(descriptions)
    everything = [item for group in groups for item in group]
    if not everything:
        raise ValueError("a catalogue needs at least one release")
    w = _Writer(base)
    node = w.iri("catalog")
    words = load_texts("meddata_pipeline.catalog")
    w.kind(node, "dcat:Catalog")
    w.text(node, "dct:title", Text(zh=words["zh"]["site"]["title"], en=words["en"]["site"]["title"]))
    w.text(node, "dct:description", Text(zh=words["zh"]["site"]["lead"], en=words["en"]["site"]["lead"]))
    w.date(node, "dct:issued", min(d.as_of for d in everything))
    w.date(node, "dct:modified", max(d.as_of for d in everything))
    for lang in ("zh", "en"):
        _language(w, node, lang)
    for place in sorted({code for d in everything for code in d.spatial}):
        _place(w, node, place)
    _publisher(w, node, groups[0][0])
    _licence(w, node, Text(zh=words["zh"]["licence_catalog"], en=words["en"]["licence_catalog"]))
    w.document(node, "foaf:homepage", "index.html")
    themes = vocabulary()["schemes"]["data-theme"]
    w.add(node, "dcat:themeTaxonomy", URIRef(themes["iri"]))
    for d in everything:
        files, page = f"../products/{d.id}/{d.version}/", f"products/{d.id}/index.html"
        w.add(node, "dcat:dataset", _dataset(w, d, files, page))
    return w.graph


def _sorted_terms(terms: Iterable[Any]) -> list[Any]:
    return sorted(terms, key=lambda term: (type(term).__name__, term.n3()))


def _main_first(graph: Graph) -> list[Any]:
    from rdflib import RDF, URIRef

    ranks: dict[Any, int] = {}
    for rank, name in enumerate(("Catalog", "Dataset", "DatasetSeries", "Distribution")):
        for subject in graph.subjects(RDF.type, URIRef(NAMESPACES["dcat"] + name)):
            ranks.setdefault(subject, rank)
    return sorted(set(graph.subjects()), key=lambda subject: (ranks.get(subject, 9), str(subject)))


def to_turtle(graph: Graph) -> bytes:
    """Turtle whose bytes depend on the graph only: subjects, predicates and objects in a fixed order.

    Args:
        graph: A graph without blank nodes.
    """
    from rdflib import RDF, URIRef

    manager = graph.namespace_manager
    spelled: dict[Node, str] = {}

    def n3(term: Any) -> str:
        if term not in spelled:
            spelled[term] = term.n3(manager)
        return spelled[term]

    lines = [f"@prefix {prefix}: <{iri}> ." for prefix, iri in sorted(NAMESPACES.items())]
    for subject in _main_first(graph):
        blocks = []
        for predicate in sorted(set(graph.predicates(subject)), key=lambda p: (p != RDF.type, n3(p))):
            verb = "a" if predicate == RDF.type else n3(predicate)
            objects = (" ,\n" + " " * 8).join(n3(o) for o in _sorted_terms(graph.objects(subject, predicate)))
            blocks.append(f"    {verb} {objects}")
        lines.append("\n" + (n3(subject) if isinstance(subject, URIRef) else str(subject)))
        lines.append(" ;\n".join(blocks) + " .")
    return ("\n".join(lines) + "\n").encode()


def to_jsonld(graph: Graph) -> bytes:
    """JSON-LD 1.1, flattened, with prefixes as its only context; bytes depend on the graph only.

    Args:
        graph: A graph without blank nodes.
    """
    from rdflib import RDF, Literal

    def short(iri: str) -> str:
        for prefix, home in NAMESPACES.items():
            if iri.startswith(home) and iri[len(home) :].isidentifier():
                return f"{prefix}:{iri[len(home) :]}"
        return iri

    def value(term: Any) -> dict[str, str]:
        if not isinstance(term, Literal):
            return {"@id": str(term)}
        if term.language:
            return {"@value": str(term), "@language": term.language}
        return {"@value": str(term), "@type": short(str(term.datatype))} if term.datatype else {"@value": str(term)}

    nodes = []
    for subject in _main_first(graph):
        node: dict[str, Any] = {"@id": str(subject)}
        kinds = sorted(short(str(kind)) for kind in graph.objects(subject, RDF.type))
        if kinds:
            node["@type"] = kinds
        for predicate in sorted(set(graph.predicates(subject)) - {RDF.type}, key=str):
            node[short(str(predicate))] = [value(o) for o in _sorted_terms(graph.objects(subject, predicate))]
        nodes.append(node)
    document = {"@context": dict(sorted(NAMESPACES.items())), "@graph": nodes}
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
