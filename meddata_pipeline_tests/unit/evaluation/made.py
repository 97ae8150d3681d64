"""A small release with rows, its contract and the publisher's results, for the tests of evaluations."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meddata_pipeline.core.canonical import canonical_json, digest_of, sha256_hex
from meddata_pipeline.exchange import release as releases
from meddata_pipeline.exchange.signing import Signer
from meddata_pipeline.quality import report
from meddata_pipeline.quality.api import validate
from meddata_pipeline.quality.contract import parse_contract
from meddata_pipeline.quality.evaluation import evaluation
from meddata_pipeline.storage.keys import Keyring, demo_keyring

PRODUCT = "inflammation-pulpitis-cohort"
VERSION = "1.1"
AS_OF = "2024-01-02"
#: Stands in a column that no check may repeat.
CANARY = "测鸟甲乙110101190001011234"
DEMO = demo_keyring(1)
TITLE = {"zh": "队列", "en": "Cohort"}

CONTRACT: dict[str, Any] = {
    "kind": "DataContract",
    "apiVersion": "v3.1.0",
    "id": "cohort",
    "version": "1.0",
    "schema": [
        {
            "name": "cohort",
            "properties": [
                {"name": "row_id", "logicalType": "string", "required": True, "unique": True},
                {
                    "name": "sex",
                    "logicalType": "string",
                    "quality": [
                        {
                            "id": "sex-valid",
                            "metric": "invalidValues",
                            "arguments": {"validValues": ["F", "M"]},
                            "mustBe": 0,
                            "dimension": "conformity",
                            "severity": "warning",
                            "description": "Sex is F or M",
                        }
                    ],
                },
                {"name": "age", "logicalType": "number"},
                {"name": "note", "logicalType": "string"},
            ],
        }
    ],
}
EXTRA = """
schema:
  - name: cohort
    properties:
      - name: age
        quality:
          - id: age-adult
            type: custom
            engine: meddata
            implementation: {check: range, minimum: %d}
            dimension: accuracy
            severity: error
            description: "Nobody is younger"
"""


def frame() -> pd.DataFrame:
    """Forty rows; two of another sex, and identifiers in a column without rules."""
    return pd.DataFrame(
        {
            "row_id": [f"{n:016x}" for n in range(40)],
            "sex": ["F", "M"] * 19 + ["X", "Y"],
            "age": [float(18 + n) for n in range(40)],
            "note": [CANARY] * 40,
        }
    )


def release_folder(folder: Path, table: pd.DataFrame | None = None, keyring: Keyring = DEMO) -> Path:
    """A candidate folder: files and manifest.json, no signature."""
    table = frame() if table is None else table
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink)
    contract = parse_contract(CONTRACT)
    files = {"data.parquet": sink.getvalue(), "contract.yaml": yaml.safe_dump(CONTRACT).encode()}
    result = validate(table, contract, engine="duckdb").as_dict()
    found = evaluation(
        result,
        product=PRODUCT,
        title=TITLE,
        version=VERSION,
        as_of=AS_OF,
        data=[{"path": "data.parquet", "sha256": sha256_hex(files["data.parquet"])}],
        rules=[{"path": "contract.yaml", "sha256": sha256_hex(files["contract.yaml"])}],
        columns=[column.name for column in contract.columns],
        evaluator={"name": {"zh": "发布方", "en": "Publisher"}, "key": ""},
        kind="self-assessment",
        demo=True,
    )
    files["quality.json"] = json.dumps({**result, "evaluation": found}, ensure_ascii=False).encode()
    files |= report.files(found)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    entries = releases.file_entries(folder)
    meta = {
        "product": PRODUCT,
        "version": VERSION,
        "candidate_digest": digest_of({"product": PRODUCT, "version": VERSION, "files": entries}),
        "as_of": AS_OF,
        "hospitals": ["hospital-a"],
        "persons": 40,
        "form": "microdata",
        "access": "download",
        "demo": True,
        "publisher_key": Signer.from_keyring(keyring, "publisher").public,
    }
    (folder / "manifest.json").write_bytes(canonical_json(releases.manifest(entries, meta)))
    return folder


def publish(home: Path, folder: Path, keyring: Keyring = DEMO) -> Path:
    """Commit a candidate folder; the version's folder."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    made = releases.commit(home, PRODUCT, folder, manifest, Signer.from_keyring(keyring, "publisher"))
    return home / "products" / PRODUCT / made.version


def pem(path: Path, key: Ed25519PrivateKey | None = None) -> Path:
    """A key file."""
    key = key or Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(text)
    return path


TODAY = date(2024, 2, 1)
