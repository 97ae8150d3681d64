"""``python -m meddata_pipeline_tests.evaluation``: the table of figures on made-up notes and on the shared texts.

What belongs here: arguments and printing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from meddata_pipeline_tests.evaluation import readers
from meddata_pipeline_tests.evaluation.measure import OPEN, STYLES, clinical, names_of


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m meddata_pipeline_tests.evaluation", description=__doc__)
    parser.add_argument("--style", choices=sorted(STYLES), action="append", help="one author; may be repeated")
    parser.add_argument("--notes", type=int, default=400, help="notes of each author")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="without what is known and without the roster")
    parser.add_argument(
        "--errors", type=int, default=0, metavar="N", help="the N most frequent errors (A, B, E and F only)"
    )
    parser.add_argument("--entity", help="errors of one entity only")
    parser.add_argument("--shared", action="store_true", help="the shared texts too (names only)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(arguments)
    tables = {}
    for letter in given.style or sorted(STYLES):
        scores = clinical(letter, given.notes, given.seed, known=not given.blind)
        tables[letter] = scores.table()
        if given.errors and letter in OPEN:
            shown = [item for item in scores.errors.most_common() if given.entity in (None, item[0][1])]
            for (kind, entity, where), count in shown[: given.errors]:
                print(f"{letter} {count:4} {kind:12} {entity:16} {where}", file=sys.stderr)
    if given.shared:
        base = Path(os.environ.get("MEDDATA_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
        for name in readers.FILES:
            tables[name] = names_of(readers.read(base / "data" / "pii" / f"{name}.jsonl")).table()
    if given.json:
        print(json.dumps(tables, ensure_ascii=False))
        return 0
    for name, table in tables.items():
        print(f"== {name}")
        for key, value in table.items():
            if key != "entities":
                print(f"{key:26} {value}")
        print(
            f"{'entity':18} {'true':>6} {'exactF1':>8} {'exactR':>8} {'covered':>8} {'chars':>8} {'precis.':>8}"
            f" {'false':>6}"
        )
        for entity, row in table["entities"].items():
            print(
                f"{entity:18} {row['true']:6} {row['exact_f1']:8.4f} {row['exact_recall']:8.4f} {row['covered']:8.4f}"
                f" {row['characters']:8.4f} {row['precision']:8.4f} {row['false_alarms']:6}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
