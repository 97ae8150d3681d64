"""A small offer, a staged release and a published version, for the tests of the trade."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from meddata_pipeline.core.offer import OfferTerms, parse_offer
from meddata_pipeline.exchange.release import CandidateFacts, Commit, commit, file_entries, manifest
from meddata_pipeline.exchange.signing import Signer
from meddata_pipeline.storage.keys import Keyring, demo_keyring

CANDIDATE = "c" * 64
KEYRING: Keyring = demo_keyring(7)
REAL = Keyring(bytes(range(32)))
CONTRIBUTIONS = {"hospital-a": 700, "hospital-b": 500, "hospital-c": 3}

RAW: dict[str, Any] = {
    "product": "demo",
    "form": "report",
    "access": "download",
    "release": {"cadence": "every-run", "minimum_hospitals": 2, "minimum_new_persons": 10},
    "signatures": ["privacy-officer", "data-owner"],
    "holders": {
        "hospital-a": {
            "title": {"zh": "甲", "en": "A"},
            "holding": [{"document": "holding.pdf", "sha256": "a" * 64}],
            "processing": [{"document": "processing.pdf", "sha256": "b" * 64}],
            "operating": [{"document": "operating.pdf", "sha256": "missing"}],
        }
    },
    "terms": {"purposes": ["research"], "territory": ["CN"], "months": 12},
    "costs": [
        {"category": "cleaning", "title": "cleaning", "amount": "1000 yuan"},
        {"category": "cleaning", "title": "mapping", "amount": "0.01 yuan"},
        {"category": "analysis", "title": "analysis", "amount": "50000 分"},
    ],
    "price": {"margin": "20%", "expected_sales": 3, "low": "80%", "high": "130%", "round_to": "1 元"},
    "fees": [{"id": "exchange", "title": "fee", "payee": "exchange", "rate": "2.5%", "minimum": "1 yuan"}],
    "taxes": [{"id": "vat", "title": "VAT", "payee": "tax-office", "rate": "6%", "base": "included"}],
    "shares": {"by": "persons", "operator": {"id": "operator", "title": "operator", "share": "30%"}},
}


def offer(**changes: Any) -> OfferTerms:
    """The offer, with top-level keys replaced."""
    return parse_offer({**copy.deepcopy(RAW), **changes}, "offer.yaml")


def facts(**changes: Any) -> CandidateFacts:
    """Facts of a candidate that is due."""
    base = {
        "candidate_digest": CANDIDATE,
        "contract_major": 1,
        "hospitals": ("hospital-a", "hospital-b"),
        "persons": 1200,
        "new_persons": 1200,
        "as_of": "2024-01-02",
    }
    return CandidateFacts(**{**base, **changes})


def stage(folder: Path, text: str = "first") -> Path:
    """A staged release of three files, one of them in a subfolder with a Chinese name."""
    for name, content in {
        "report.html": f"<p>{text}</p>",
        "results.json": "{}",
        "data/数据字典.csv": "列,含义\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def staged_manifest(folder: Path, version: str = "1.1", **changes: Any) -> dict[str, Any]:
    """The manifest of a staged release."""
    meta = {
        "product": "demo",
        "version": version,
        "candidate_digest": CANDIDATE,
        "as_of": "2024-01-02",
        "hospitals": ["hospital-a", "hospital-b", "hospital-c"],
        "persons": 1203,
        "form": "report",
        "access": "download",
    }
    return manifest(file_entries(folder), {**meta, **changes})


def release_signer(keyring: Keyring = KEYRING) -> Signer:
    """The publisher's key."""
    return Signer.from_keyring(keyring, "release")


def publish(
    home: Path, version: str = "1.1", text: str = "first", keyring: Keyring = KEYRING, **changes: Any
) -> Commit:
    """Stage and commit a release."""
    folder = stage(home / "restricted" / "staged" / version, text)
    release = staged_manifest(folder, version, **changes)
    return commit(home, "demo", folder, release, release_signer(keyring), contributions=CONTRIBUTIONS)
