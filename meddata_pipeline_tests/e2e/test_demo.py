"""The demo read back: what lies in the home after one run on three sample hospitals, and after running again."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pytest
import yaml
from rdflib import RDF, Graph, URIRef

from meddata_pipeline.app import nights
from meddata_pipeline.catalog.validation import validate, violations
from meddata_pipeline.core.config import Config
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.exchange import recipients
from meddata_pipeline.storage.lake import Partition
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import landing_files, pipeline
from meddata_pipeline_tests.e2e.pipeline import COHORT, REAL, REPORT
from meddata_pipeline_tests.shared import shared

#: The cohort without what links rows to persons: all of it is released.
RELEASED = {
    *("hospital", "age", "sex", "index_month", "smoking", "bmi", "diabetes", "caries", "periodontitis", "antibiotics"),
    *("crp", "il6", "nlr", "ln_crp", "crp_sd", "pulpitis", "teeth", "follow_up", "variant_carrier"),
}
DATASET = URIRef("http://www.w3.org/ns/dcat#Dataset")
SHAPES = "data/catalog/dcat-ap-3/releases/3.0.1"
FORMATS = {"ttl": "turtle", "jsonld": "json-ld"}


def _folder(demo: Demo, product: str) -> Path:
    return demo.home / "products" / product / demo.answer.product(product)["version"]


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


# -- the answer --------------------------------------------------------------------------------------------------------


def test_the_run_publishes_and_says_where(demo: Demo) -> None:
    assert demo.answer.code == 0, demo.answer.stderr
    body = demo.answer.body
    assert body["failed"] == []
    assert {REPORT, COHORT} <= {p["id"] for p in body["products"]}
    for product in body["products"]:
        assert product["status"] == "published"
        assert product["reasons"] == []
        assert (demo.home / product["entry"]).is_file()
        assert (demo.home / product["report"]).is_file()
        assert "NOT FOR REAL DATA" in demo.answer.stderr


def test_what_is_restricted_is_closed_to_others(demo: Demo) -> None:
    assert (demo.home / "restricted").stat().st_mode & 0o077 == 0
    assert list((demo.home / "restricted" / "tmp").iterdir()) == []


# -- row balance -------------------------------------------------------------------------------------------------------


def _deliveries(demo: Demo) -> list[tuple[str, str]]:
    return sorted((p.parent.name, p.name) for p in demo.landing.glob("*/*-*-*") if p.is_dir())


def test_every_source_row_is_mapped_or_quarantined_and_none_twice(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    body = demo.answer.body
    whole = 0
    assert body["rows_in"] == body["rows_mapped"] + body["rows_quarantined"]
    for hospital, day in _deliveries(demo):
        files = [p for p in landing_files.tables(demo.landing) if (p.parts[-3], p.parts[-2]) == (hospital, day)]
        counted = {landing_files.sha256(p): len(landing_files.read(p)) - 1 for p in files}
        whole += sum(counted.values())
        aside = place.lake.read(Partition("quarantine", "rows", (hospital, day))).to_pandas()
        put_aside = {(r.file_digest, r.source_row) for r in aside.itertuples() if r.file_digest in counted}
        recorded: set[tuple[str, int]] = set()
        for kind in kinds():
            rows = place.lake.read(nights.records_partition(kind, hospital, day), ["source_file", "source_row"])
            recorded |= set(zip(rows["source_file"].to_pylist(), rows["source_row"].to_pylist(), strict=True))
        assert not put_aside & recorded
        facts = place.manifest(Partition("quarantine", "rows", (hospital, day))).facts["facts"]
        for line in facts["balance"]:
            (digest,) = [d for d in counted if d.startswith(line["file"][1:])]
            quarantined, excluded = sum(line["quarantined"].values()), sum(line["excluded"].values())
            assert line["rows_in"] == counted[digest] == line["mapped"] + quarantined
            assert line["mapped"] == line["recorded"] + excluded
            assert quarantined == sum(1 for d, _ in put_aside if d == digest)
            assert line["recorded"] == sum(1 for d, _ in recorded if d == digest)
    assert body["rows_in"] == whole


def test_later_tables_lose_no_row_without_a_reason(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    for hospital, day in _deliveries(demo):
        for kind in nights.DEID_KINDS:
            before = place.manifest(nights.records_partition(kind, hospital, day)).rows
            partition = nights.deid_partition(kind, hospital, day)
            manifest = place.manifest(partition)
            balance = manifest.facts["facts"]["balance"]
            assert balance["rows_in"] == before
            assert balance["rows_out"] == manifest.rows == place.lake.read(partition).num_rows
            assert before == manifest.rows + sum(sum(balance[w].values()) for w in ("excluded", "suppressed", "merged"))
    cohort = place.manifest(Partition("cohort", "table", (REPORT,)))
    aside: Counter[str] = Counter()
    for balance in cohort.facts["facts"]["row_balances"].values():
        delivered = [p for p in place.lake.partitions("deid", balance["name"]) if p.keys[0].startswith("hospital-")]
        assert balance["rows_in"] == sum(place.manifest(p).rows for p in delivered)
        gone = sum(balance["excluded"].values()) + sum(balance["merged"].values())
        assert balance["rows_in"] == balance["rows_out"] + gone
        aside[balance["name"]] = balance["excluded"].get("quality", 0)
    wanted: dict[str, set[tuple[str, str]]] = {}
    for partition in place.lake.partitions("quarantine", "quality"):
        for line in place.lake.read(partition).to_pylist():
            wanted.setdefault(line["kind"], set()).add((partition.keys[0], line["record_key"]))
    assert wanted
    assert {kind: count for kind, count in aside.items() if count} == {k: len(rows) for k, rows in wanted.items()}
    for product in (REPORT, COHORT):
        balance = place.manifest(Partition("candidate", "table", (product,))).facts["facts"]["balance"]
        assert cohort.rows == balance["rows_in"] == balance["rows_out"] + sum(balance["suppressed"].values())


def test_every_planted_defect_is_found_under_its_name(demo: Demo) -> None:
    place = pipeline.workplace(demo.home, demo.landing)
    truth = [json.loads(line) for line in (demo.truth / "defects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {d["expected"].partition(":")[0] for d in truth} == {"quarantine", "flag", "check"}
    truth = [d for d in truth if not d["expected"].startswith("check:")]
    found: set[tuple[str, int, str]] = set()
    flagged: set[tuple[str, int, str]] = set()
    for hospital, day in _deliveries(demo):
        aside = place.lake.read(Partition("quarantine", "rows", (hospital, day)))
        columns = (aside[c].to_pylist() for c in ("file_digest", "source_row", "reason"))
        found |= set(zip(*columns, strict=True))
        labs = place.lake.read(nights.records_partition("lab", hospital, day))
        columns = (labs[c].to_pylist() for c in ("source_file", "source_row", "flag"))
        flagged |= set(zip(*columns, strict=True))
    for defect in truth:
        way, _, reason = defect["expected"].partition(":")
        where = (landing_files.sha256(demo.landing / defect["file"]), defect["row"], reason)
        assert where in (found if way == "quarantine" else flagged), defect
    planted = Counter(d["expected"].partition(":")[2] for d in truth if d["expected"].startswith("quarantine"))
    tables = {landing_files.sha256(p) for p in landing_files.tables(demo.landing)}
    assert Counter(reason for digest, _, reason in found if digest in tables) == planted


# -- the releases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", [REPORT, COHORT])
def test_manifest_lists_exactly_what_lies_there(demo: Demo, product: str) -> None:
    folder = _folder(demo, product)
    manifest = _json(folder / "manifest.json")
    listed = {f["path"]: (f["sha256"], f["bytes"]) for f in manifest["files"]}
    lying = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    for name in ("manifest.json", "manifest.sig"):
        lying.pop(name)
    assert listed == {n: (landing_files.sha256(p), p.stat().st_size) for n, p in lying.items()}
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert digest == demo.answer.product(product)["digest"]
    checked = pipeline.meddata("verify", folder)
    assert checked.code == 0, checked.stdout


def test_the_report_holds_no_rows_and_both_analyses(demo: Demo) -> None:
    folder = _folder(demo, REPORT)
    assert not list(folder.rglob("*.parquet"))
    results = _json(folder / "results.json")
    by_id = {e["id"]: e for e in results["estimates"]}
    assert {"crude", "adjusted"} <= {e["analysis"] for e in by_id.values()}
    for analysis in ("crude", "adjusted"):
        estimate = by_id[f"{analysis}/crp_sd/or"]
        assert estimate["low"] < estimate["estimate"] < estimate["high"]
    for lang in ("zh", "en"):
        page = (folder / f"report.{lang}.html").read_text(encoding="utf-8")
        assert f"{by_id['adjusted/crp_sd/or']['estimate']:.2f}" in page
        assert f'lang="{lang}' in page


def test_small_cells_are_not_published(demo: Demo) -> None:
    with (_folder(demo, REPORT) / "aggregates.csv").open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows
    for row in rows:
        for name, value in row.items():
            if name in ("n", "persons", "count") and value.isdigit():
                assert int(value) == 0 or int(value) >= 10, row


def test_the_table_holds_every_column_that_identifies_nobody(demo: Demo) -> None:
    data = pd.read_parquet(_folder(demo, COHORT) / "data.parquet")
    assert set(data.columns) == {"row_id", *RELEASED}
    assert data["row_id"].is_unique
    for column in RELEASED:
        assert data[column].notna().any(), column


def test_every_class_holds_five_persons(demo: Demo) -> None:
    """Counted here by hand: rows are persons, classes are equal combinations of the quasi-identifiers."""
    data = pd.read_parquet(_folder(demo, COHORT) / "data.parquet")
    policy = yaml.safe_load(Config([]).find(f"products/{COHORT}/privacy.yaml").read_text(encoding="utf-8"))
    quasi = list(policy["quasi_identifiers"])
    assert quasi == ["hospital", "age", "sex", "index_month", "bmi"]
    classes = Counter(tuple(map(str, row)) for row in data[quasi].itertuples(index=False))
    assert min(classes.values()) >= 5
    # One row a person: the restricted cohort has one too.
    cohort = pipeline.workplace(demo.home, demo.landing).lake.read(Partition("cohort", "table", (REPORT,)))
    assert len(pc.unique(cohort["person_id"])) == cohort.num_rows
    assert cohort.num_rows * 0.95 <= len(data) <= cohort.num_rows


# -- the catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("product", [REPORT, COHORT])
def test_entries_parse_and_break_no_shape(demo: Demo, product: str, suffix: str) -> None:
    entry = _folder(demo, product) / f"entry.{suffix}"
    graph = Graph().parse(entry, format=FORMATS[suffix])
    assert len(set(graph.subjects(RDF.type, DATASET))) == 1
    folder = shared(SHAPES)
    core = [folder / "html/shacl" / f"{part}.ttl" for part in ("shapes", "range", "shapes_recommended")]
    for shapes in (core, [folder / "shacl"]):
        assert violations(validate(graph, shapes)) == []


def test_turtle_and_json_ld_say_the_same(demo: Demo) -> None:
    for product in (REPORT, COHORT):
        sizes = {len(Graph().parse(_folder(demo, product) / f"entry.{s}", format=f)) for s, f in FORMATS.items()}
        assert len(sizes) == 1


def test_the_site_shows_every_product_in_both_languages_and_says_demo(demo: Demo) -> None:
    for name, mark in (("index.html", "请勿用于真实数据"), ("en.html", "NOT FOR REAL DATA")):
        front = (demo.home / "catalog" / name).read_text(encoding="utf-8")
        for product in demo.answer.body["products"]:
            assert product["id"] in front
            page = demo.home / "catalog" / "products" / product["id"] / name
            assert mark in page.read_text(encoding="utf-8")


# -- the trade ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", [REPORT, COHORT])
def test_the_buyer_can_check_the_bundle_offline(demo: Demo, product: str, tmp_path: Path) -> None:
    (bundle,) = (demo.home / "products" / product / "bundles").glob("*.age")
    identity = tmp_path / "buyer.txt"
    identity.write_text(recipients.demo_buyer(pipeline.workplace(demo.home, demo.landing).keyring), encoding="utf-8")
    carried = shutil.copyfile(bundle, tmp_path / "carried.age")
    checked = pipeline.meddata("verify", carried, "--identity", identity)
    assert checked.code == 0, checked.stdout
    assert checked.body["ok"]
    assert checked.body["demo"]
    damaged = bytearray(carried.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    carried.write_bytes(damaged)
    assert pipeline.meddata("verify", carried, "--identity", identity).code == 1


def test_settlements_add_up_to_the_fen(demo: Demo) -> None:
    with pipeline.workplace(demo.home, demo.landing).ledger() as ledger:
        orders = ledger.orders()
        assert {o.product for o in orders} >= {REPORT, COHORT}
        assert sum(ledger.balances().values()) == 0
        for order in orders:
            posting = ledger.posting(f"settle:{order.id}") or pytest.fail(f"no settlement of {order.id}")
            payload: dict[str, Any] = dict(posting.payload)
            lines = [line for part in ("taxes", "fees", "payouts") for line in payload[part]]
            assert sum(line["amount_fen"] for line in lines) == order.price_fen == payload["gross_fen"]
            assert all(line["amount_fen"] >= 0 for line in lines)
        kept = {e.subject for e in ledger.events("publication")}
    assert kept == {f"{p['id']}/{p['version']}" for p in demo.answer.body["products"]}


# -- running again -----------------------------------------------------------------------------------------------------


def _bytes(home: Path) -> dict[str, str]:
    """Digest of every published file; states tell of the last run and bundles differ at every encryption."""
    places = [p for top in ("products", "catalog") for p in (home / top).rglob("*") if p.is_file()]
    return {p.relative_to(home).as_posix(): landing_files.sha256(p) for p in places if p.name != "state.json"}


def test_running_again_changes_nothing(demo: Demo, tmp_path: Path) -> None:
    home = demo.copy(tmp_path / "home")
    before = _bytes(home)
    again = pipeline.night(demo.landing, home)
    assert again.code == 0, again.stderr
    assert {p["status"] for p in again.body["products"]} == {"unchanged"}
    assert again.digests == demo.answer.digests
    assert again.body["run_ids"] == []
    for name in ("rows_in", "rows_mapped", "rows_quarantined"):
        assert again.body[name] == demo.answer.body[name]
    assert _bytes(home) == before


def test_a_gate_that_fails_leaves_the_last_release_and_the_other_products(demo: Demo, tmp_path: Path) -> None:
    home = demo.copy(tmp_path / "home")
    before = _bytes(home)
    policy = yaml.safe_load(Config([]).find(f"products/{COHORT}/privacy.yaml").read_text(encoding="utf-8"))
    policy["risk"] = {"threshold": 0.0001}
    overlay = home / "config" / "products" / COHORT / "privacy.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(yaml.safe_dump(policy, allow_unicode=True, sort_keys=False), encoding="utf-8")
    answer = pipeline.night(demo.landing, home)
    assert answer.code == 1
    refused = answer.product(COHORT)
    assert refused["status"] == "refused"
    assert [r["code"] for r in refused["reasons"]] == ["risk-below-limit", "linkage-attack", "product-join-attack"]
    assert refused["digest"] == demo.answer.product(COHORT)["digest"]
    assert answer.product(REPORT)["status"] == "unchanged"
    assert _bytes(home) == before


# -- real data ---------------------------------------------------------------------------------------------------------


def test_real_births_give_the_published_odds_ratio(demo: Demo) -> None:
    shared("data/real/baystate")
    results = _json(_folder(demo, REAL) / "results.json")
    crude = next(e for e in results["estimates"] if e["id"] == "crude/smoke/or")
    assert (crude["estimate"], crude["low"], crude["high"]) == (2.02, 1.08, 3.78)
    released = next(e for e in results["release_estimates"] if e["id"] == "crude/smoke/or")
    assert released["estimate"] is not None
    assert results["protection_cost"]
    for lang in ("zh", "en"):
        page = (_folder(demo, REAL) / f"report.{lang}.html").read_text(encoding="utf-8")
        for number in ("2.02", "1.08", "3.78"):
            assert number in page
