"""The ground truth beside the files: identifying values, injected defects, the planted effect.

What belongs here: writing ``pii.jsonl``, ``defects.jsonl`` and ``effects.json``. What does not: reading them; that is
for the tests of others, who know the truth's format from the commands' documentation alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from meddata_pipeline.samples.model import GROUPS, LN_CRP_MEAN, LN_CRP_SD, PLANTED, Population, recorded_crp
from meddata_pipeline.samples.render.files import Pool
from meddata_pipeline.samples.render.sheet import Sheet
from meddata_pipeline.samples.vocab import vocabulary


class Truth:
    """The truth files, appended to piece by piece.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pool = Pool()
        self._counts: dict[str, dict[str, int]] = {}
        self._defects = 0
        for name in ("pii.jsonl", "defects.jsonl"):
            self._pool.append(folder / name, b"")

    def sheet(self, file: str, first_row: int, sheet: Sheet) -> None:
        """Write the identifying values and the defects of one piece.

        Args:
            file: path of the file in the landing folder.
            first_row: number of the piece's first record in the file, from 0, the header not counted.
            sheet: the piece as it is written.
        """
        start = f'{{"file":{_json(file)},"row":'
        lines: list[str] = []
        for position, column in enumerate(sheet.columns):
            cut = {row for row, kept in sheet.kept.items() if position >= kept}
            cut |= {row for row, damaged in sheet.damaged.items() if damaged == position}
            struck = {d.row for d in sheet.defects if d.column == column.header and d.name == "digits"} | cut
            values = column.values.tolist()
            if column.entity:
                middle = f',"column":{_json(column.header)},"start":0,"end":'
                entity = f',"type":"{column.entity}","value":"'
                lines += [
                    f'{start}{row}{middle}{len(value)}{entity}{value}"}}\n'
                    for row, value in enumerate(values, start=first_row)
                    if value and (not struck or row - first_row not in struck)
                ]
            elif column.spans is not None:
                middle = f',"column":{_json(column.header)},"start":'
                for row, (value, spans) in enumerate(zip(values, column.spans, strict=True)):
                    if row in struck:
                        continue
                    number = row + first_row
                    for begin, end, name in spans:
                        lines.append(
                            f'{start}{number}{middle}{begin},"end":{end},"type":"{name}","value":"{value[begin:end]}"}}\n'
                        )
        self._pool.append(self.folder / "pii.jsonl", "".join(lines).encode("utf-8"))
        expected: dict[str, str] = vocabulary("defects")["expected"]
        found = [
            {"file": file, "row": d.row + first_row, "column": d.column, "defect": d.name, "expected": expected[d.name]}
            for d in sorted(sheet.defects, key=lambda d: d.row)
        ]
        self._defects += len(found)
        self._pool.append(self.folder / "defects.jsonl", "".join(_json(d) + "\n" for d in found).encode("utf-8"))

    def persons(self, chunk: Population, names: list[str]) -> None:
        """Count what is true of one chunk of persons.

        Args:
            chunk: the persons.
            names: ids of the hospitals by number.
        """
        eligible = chunk.eligible
        adult = eligible & (chunk.age >= 18)
        complete = adult & ~np.isnan(recorded_crp(chunk)) & chunk.bmi_known & chunk.smoking_known
        facts: dict[str, Any] = {
            "patients": np.ones(len(chunk), dtype=bool),
            "opt_out": chunk.opt_out,
            "under_14_at_index": chunk.age < 14,
            **{group: chunk.group == code for code, group in enumerate(GROUPS) if code},
            "referred": chunk.referred >= 0,
            "over_89": chunk.age > 89,
            "eligible": eligible,
            "eligible_cases": eligible & chunk.pulpitis,
            "eligible_adults": adult,
            "eligible_adult_cases": adult & chunk.pulpitis,
            "complete_adults": complete,
            "complete_adult_cases": complete & chunk.pulpitis,
        }
        for number, name in enumerate(names):
            here = chunk.hospital == number
            counts = self._counts.setdefault(name, {})
            for fact, mask in facts.items():
                counts[fact] = counts.get(fact, 0) + int((mask & here).sum())

    def close(self, scenario: str, seed: int, days: int) -> None:
        """Write ``effects.json`` and close the files.

        Args:
            scenario: name of the scenario.
            seed: the user's seed.
            days: number of deliveries.
        """
        self._pool.close()
        totals: dict[str, int] = {}
        for counts in self._counts.values():
            for fact, count in counts.items():
                totals[fact] = totals.get(fact, 0) + count
        effects = {
            "scenario": scenario,
            "seed": seed,
            "days": days,
            "exposure": "crp_sd",
            "outcome": "pulpitis",
            "covariates": ["age", "sex", "smoking", "bmi", "diabetes", "caries", "periodontitis"],
            "adjusted_or_per_sd": PLANTED[scenario],
            "ln_crp_mean": LN_CRP_MEAN,
            "ln_crp_sd": LN_CRP_SD,
            "counts": totals,
            "hospitals": self._counts,
            "defects": self._defects,
        }
        text = json.dumps(effects, ensure_ascii=False, indent=2) + "\n"
        (self.folder / "effects.json").write_text(text, encoding="utf-8")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
