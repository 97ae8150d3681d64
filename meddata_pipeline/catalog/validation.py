"""SHACL validation of entries, offline.

Belongs here: running shapes over a graph and saying what is wrong. Does not belong here: the shapes (catalog/shapes.ttl
are the project's own for the gate at run time; the official ones are used in tests and by whoever has them).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from meddata_pipeline.core.errors import BadInput, Reason, Refused

if TYPE_CHECKING:
    from rdflib import Graph

GATE_SHAPES = Path(__file__).resolve().parent / "shapes.ttl"


@cache
def _shapes(files: tuple[Path, ...]) -> Graph:
    from rdflib import Graph
    from rdflib.namespace import OWL, SH

    shapes = Graph(bind_namespaces="none")
    for file in files:
        shapes.parse(file, format="turtle")
    # Imports name documents on the network; hospitals have none, and the shapes are complete without them.
    shapes.remove((None, OWL.imports, None))
    # The published ranges.ttl names property shapes that it describes nowhere; pyshacl stops at the first of them.
    for owner, shape in list(shapes.subject_objects(SH.property)):
        if shapes.value(shape, SH.path) is None:
            shapes.remove((owner, SH.property, shape))
    return shapes


def shape_files(places: Iterable[Path]) -> tuple[Path, ...]:
    """The Turtle files of some files and folders (searched with their subfolders), sorted.

    Raises:
        BadInput: There is none.
    """
    found = sorted({f for place in places for f in ([place] if place.is_file() else place.rglob("*.ttl"))})
    if not found:
        raise BadInput("No shapes to validate against", next_step="Name a folder that holds .ttl files")
    return tuple(found)


def load_graph(path: Path) -> Graph:
    """Read an entry (.ttl or .jsonld).

    Raises:
        BadInput: The file is neither, or can't be parsed.
    """
    from rdflib import Graph
    from rdflib.exceptions import ParserError

    kinds = {".ttl": "turtle", ".jsonld": "json-ld"}
    if path.suffix not in kinds:
        raise BadInput("An entry is a .ttl or a .jsonld file", where=path.name)
    try:
        return Graph(bind_namespaces="none").parse(path, format=kinds[path.suffix])
    except (ParserError, SyntaxError, ValueError, TypeError, KeyError, OSError) as error:
        raise BadInput(f"The entry can't be parsed ({type(error).__name__})", where=path.name) from None


def validate(graph: Graph, shapes_dirs: Sequence[Path] = (GATE_SHAPES,)) -> list[dict[str, str]]:
    """Check a graph against SHACL shapes, without the network and without inference.

    Args:
        graph: The entry.
        shapes_dirs: Files or folders of shapes in Turtle; all of them count together.

    Returns:
        One dict per result, sorted: severity (Violation, Warning or Info), focus, path, value, message, shape.
    """
    from pyshacl import validate as run
    from rdflib import Graph
    from rdflib.namespace import SH

    _, report, _ = run(
        graph,
        shacl_graph=_shapes(shape_files(shapes_dirs)),
        inference="none",
        advanced=False,
        meta_shacl=False,
        do_owl_imports=False,
        allow_warnings=False,
    )
    assert isinstance(report, Graph)  # noqa: S101 - pyshacl returns bytes only when asked to serialise
    fields = {
        "severity": SH.resultSeverity,
        "focus": SH.focusNode,
        "path": SH.resultPath,
        "value": SH.value,
        "message": SH.resultMessage,
        "shape": SH.sourceShape,
    }
    results = []
    for node in report.objects(None, SH.result):  # not the details of a result, whose severity is not their own
        row = {name: str(report.value(node, predicate) or "") for name, predicate in fields.items()}
        row["severity"] = row["severity"].rpartition("#")[2]
        results.append(row)
    return sorted(results, key=lambda row: tuple(row.values()))


def violations(results: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The results that forbid publication."""
    return [row for row in results if row["severity"] == "Violation"]


def gate(graph: Graph, where: str) -> list[dict[str, str]]:
    """Refuse an entry that lacks what DCAT-AP makes mandatory.

    Args:
        graph: The entry.
        where: Product and version, for the message.

    Returns:
        The warnings, for the record.

    Raises:
        Refused: With one reason `catalog-entry` per violation.
    """
    results = validate(graph)
    wrong = violations(results)
    if wrong:
        reasons = [
            Reason("catalog-entry", f"{row['path'].rpartition('/')[2] or 'node'}: {row['message']}", row["focus"])
            for row in wrong
        ]
        raise Refused(
            f"The catalogue entry breaks {len(wrong)} rules of DCAT-AP",
            reasons=reasons,
            where=where,
            next_step="Complete product.yaml; `meddata catalog validate` lists every rule",
        )
    return results
