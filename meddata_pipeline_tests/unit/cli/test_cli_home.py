"""Commands on a home: one demo home is made by the command itself, and every example of docs/commands.md runs on it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from meddata_pipeline.app import nights
from meddata_pipeline.app.catalog_server import published_file, server
from meddata_pipeline.cli import settings_of, workplace_of
from meddata_pipeline.core.config import Config
from meddata_pipeline.privacy.detect import engine
from meddata_pipeline_tests.unit.cli.calling import Answer, call
from meddata_pipeline_tests.unit.cli.test_cli_tools import CONTRACT, EVERY, POLICY, STUDY, births
from meddata_pipeline_tests.unit.privacy_text.doubtful import doubtful_rules

DOCS = Path(__file__).resolve().parents[3] / "docs" / "commands.md"
TEXT = DOCS.read_text(encoding="utf-8")
EXAMPLES = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S) for line in block.splitlines()]
PRODUCT = "inflammation-pulpitis"
ROLES = ("privacy-officer", "data-owner")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a demo home and the files that the examples name; the current folder of this module's tests."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for variable in [name for name in os.environ if name.startswith("MEDDATA_")]:
            patch.delenv(variable)
        # The demo's own data are enough here; real data are others' tests.
        patch.setenv("MEDDATA_SHARED", str(folder / "no-shared"))
        demo = next(line for line in EXAMPLES if line.startswith("meddata demo"))
        with pytest.MonkeyPatch.context() as unsure:
            # Some institutions are uncertain then, so that there is something to review.
            unsure.setattr(engine, "default_rules", doubtful_rules)
            made = call(*shlex.split(demo)[1:], "--json")
        assert made.code == 0, made.err
        assert {p["status"] for p in made.json["products"]} == {"published"}
        births(folder / "births.csv")
        for name, text in {"policy": POLICY, "contract": CONTRACT, "study": STUDY}.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        (folder / "notes.jsonl").write_text('{"id": 1, "text": "患者李小明复诊"}\n', encoding="utf-8")
        (folder / "staff.txt").write_text("欧阳鹤鸣\n", encoding="utf-8")
        assert call("keys", "new", "root.key", "--root").code == 0
        evaluator = call("keys", "new", "evaluator.pem", "--json").json["public"]
        registered = yaml.safe_load(Config().find("roles.yaml").read_text(encoding="utf-8"))["roles"]
        registered["quality-evaluator"]["keys"] = [evaluator]
        (folder / ".meddata" / "config").mkdir(exist_ok=True)
        roles = folder / ".meddata" / "config" / "roles.yaml"
        roles.write_text(yaml.safe_dump({"roles": registered}), encoding="utf-8")
        yield folder


@pytest.fixture(scope="module")
def waiting(place: Path) -> Path:
    """A copy of the home in which the report waits for people whose keys are registered."""
    home = place / "waiting"
    shutil.copytree(place / ".meddata", home)
    for name in ("commits", "signoffs", "1.1"):
        shutil.rmtree(home / "products" / PRODUCT / name)
    registered = {}
    for role in ROLES:
        file = place / ("officer.pem" if role == "privacy-officer" else f"{role}.pem")
        registered[role] = call("keys", "new", str(file), "--json").json["public"]
    known = {role: {"title": role, "keys": [key]} for role, key in registered.items()}
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "roles.yaml").write_text(yaml.safe_dump({"roles": known}), encoding="utf-8")
    return home


def run(line: str, **environment: str) -> Answer:
    words = [os.path.expandvars(word) for word in shlex.split(line)]
    assert not any("$" in word for word in words), line
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return call(*words[1:])


def quarantined(place: Path) -> dict[str, object]:
    item: dict[str, object] = call("quarantine", "list", "--json").json["items"][0]
    return item


@pytest.fixture(scope="module")
def variables(place: Path) -> Iterator[None]:
    """What the examples take from the commands before them."""
    buyer = call("keys", "new", "buyer.txt", "--buyer", "--json").json["public"]
    sold = call("order", "place", PRODUCT, "1.1", "--buyer", buyer, "--price-fen", "400000", "--json").json
    item = quarantined(place)
    aside = next(i for i in call("quarantine", "list", "--json").json["items"] if i["station"] == "deid")
    shown = call("quarantine", "show", str(item["hospital"]), str(item["day"]), "--json").json["items"]
    row = next(f"{item['hospital']}/{item['day']}/{i['file']}:{i['row']}" for i in shown if i["row"] is not None)
    with pytest.MonkeyPatch.context() as patch:
        item = call("review", "next", "--json").json["item"]["id"]
        found = {
            "ITEM": item,
            "BUYER": buyer,
            "ORDER": sold["order"],
            "BUNDLE": f".meddata/{sold['bundle']}",
            "ROW": row,
            "HOSPITAL": aside["hospital"],
            "DAY": aside["day"],
            "CHECK": aside["reason"],
        }
        for name, value in found.items():
            patch.setenv(name, value)
        yield


def test_every_command_has_a_synopsis_in_both_languages_and_an_example() -> None:
    rows = [line.split(" | ") for line in TEXT.replace("\\|", "¦").splitlines() if line.startswith("| `meddata ")]
    for words, _ in EVERY:
        name = f"meddata {' '.join(words)}"
        found = [row for row in rows if row[0].startswith(f"| `{name} ")]
        assert len(found) == 1 and len(found[0]) == 3, name
        assert re.search("[\u4e00-\u9fff]", found[0][1]) and not re.search("[\u4e00-\u9fff]", found[0][2]), name
        assert any(line == name or line.startswith(f"{name} ") for line in EXAMPLES), name
    assert len(rows) == len(EVERY)


@pytest.mark.parametrize("line", [line for line in EXAMPLES if not re.match("meddata (demo|catalog serve)", line)])
def test_the_example_runs(place: Path, waiting: Path, variables: None, line: str) -> None:
    if line.startswith("meddata keys new"):
        line = re.sub("new ", "new fresh-", line)  # those of the other tests are there already
    environment = (
        {"MEDDATA_HOME": str(waiting)}
        if re.match("meddata (release|review|quarantine) (approve|reject|accept|mask|release)", line)
        else {}
    )
    answer = run(line, **environment)
    assert answer.code == 0, answer.err
    assert answer.out.strip()


# -- status ------------------------------------------------------------------------------------------------------------


def test_status_counts_what_the_run_counted(place: Path) -> None:
    again = call("run", "--json")
    assert {p["status"] for p in again.json["products"]} == {"unchanged"}
    body = call("status", "--json").json
    assert sum(h["rows"] for h in body["hospitals"]) == again.json["rows_in"]
    assert sum(h["quarantine"] for h in body["hospitals"]) == again.json["rows_quarantined"]
    assert {p["id"]: p["version"] for p in body["products"] if p["version"]} == {
        p["id"]: p["version"] for p in again.json["products"]
    }
    # Rows that a quality rule put aside came in as records, and are not among those that ingest put aside.
    listed = [i for i in call("quarantine", "list", "--json").json["items"] if i["station"] == "raw"]
    assert sum(i["rows"] for i in listed) == again.json["rows_quarantined"]


def test_status_tells_waiting_partial_and_late_deliveries(place: Path, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    shutil.copytree(place / ".meddata" / "landing", landing)
    for hospital, complete in (("hospital-a", True), ("hospital-b", False)):
        folder = landing / hospital / "2024-01-03"
        folder.mkdir()
        (folder / "患者信息.csv").write_text("x\n", encoding="utf-8")
        if complete:
            (folder / "_COMPLETE").touch()
    body = call("status", "--landing", str(landing), "--json").json
    found = {h["id"]: h for h in body["hospitals"]}
    assert found["hospital-a"]["waiting"] == ["2024-01-03"] and not found["hospital-a"]["late"]
    assert found["hospital-b"]["partial"] == ["2024-01-03"]
    assert found["hospital-c"]["late"] == ["2024-01-03"]


def test_looking_needs_no_dagster(place: Path) -> None:
    script = (
        "import sys\nfrom meddata_pipeline.cli import main\n"
        "for words in (['status'], ['doctor'], ['quarantine', 'list'], ['release', 'list']):\n"
        "    try:\n        main([*words, '--json'])\n    except SystemExit as end:\n        assert not end.code\n"
        "assert 'dagster' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 4


def test_doctor_finds_an_open_restricted_folder(place: Path, waiting: Path) -> None:
    folder = waiting / "restricted"
    folder.chmod(0o755)
    answer = call("doctor", "--home", str(waiting), "--json")
    folder.chmod(0o700)
    assert answer.code == 1
    assert [r["code"] for r in answer.json["reasons"]] == ["restricted-mode"]
    assert call("doctor", "--home", str(waiting), "--json").code == 0


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_values_of_quarantined_rows_stay_restricted(place: Path) -> None:
    item = quarantined(place)
    words = ("quarantine", "show", str(item["hospital"]), str(item["day"]))
    out = place / ".meddata" / "restricted" / "review" / "seen.jsonl"
    assert call(*words, "--out", str(out)).code == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    held = [json.loads(row["raw"]) for row in rows if row["raw"]]
    cells = {str(v) for row in held for v in (row.values() if isinstance(row, dict) else row) if v}
    # Not the days of visits: the delivery's own day, which is public, may be one of them.
    values = {v for v in cells if len(v) >= 4 and not v.startswith("2024")}
    assert values and out.stat().st_mode & 0o077 == 0
    for more in ((), ("--json",)):
        answer = call(*words, *more)
        assert not [value for value in values if value in answer.out + answer.err]
    for outside in (place / "rows.jsonl", place / ".meddata" / "restricted" / ".." / "rows.jsonl"):
        assert call(*words, "--out", str(outside)).code == 2
        assert not outside.exists()
    (out.parent / "door").symlink_to(place)
    assert call(*words, "--out", str(out.parent / "door" / "rows.jsonl")).code == 2
    assert not (place / "rows.jsonl").exists()
    (out.parent / "door").unlink()
    on_terminal = call(*words, terminal=True).out
    assert [value for value in values if value in on_terminal]


def test_a_quarantined_row_cannot_steer_a_terminal() -> None:
    from meddata_pipeline.app.review_quarantine import printable

    assert printable("a\x1b[2J\x9b\u202e李") == "a\\u001b[2J\\u009b\\u202e李"


def test_rows_of_a_quality_rule_are_listed_shown_and_released(place: Path, tmp_path: Path) -> None:
    """Before anything else in this module has said so, in a copy of the home."""
    home = tmp_path / "home"
    shutil.copytree(place / ".meddata", home)
    at = ("--home", str(home))
    listed = [i for i in call("quarantine", "list", *at, "--json").json["items"] if i["station"] == "deid"]
    item = listed[0]
    words = (str(item["hospital"]), str(item["day"]))
    shown = call("quarantine", "show", *words, "--reason", item["reason"], *at, "--json")
    assert [row["reason"] for row in shown.json["items"]] == [item["reason"]] * item["rows"]
    assert "raw" not in shown.json["items"][0]
    number = shown.json["items"][0]["row"]
    say = ("--worker", "zhang", "--reason", "王鼽龖的结果属实", "--check", item["reason"], *at)
    made = call("quarantine", "release", *words, "--row", str(number), *say, "--json")
    assert made.code == 0 and [i["new"] for i in made.json["items"]] == [True]
    again = call("quarantine", "release", *words, "--row", str(number), *say, "--json")
    assert [i["new"] for i in again.json["items"]] == [False]
    rows = call("quarantine", "show", *words, "--reason", item["reason"], *at, "--json").json["items"]
    assert [row["row"] for row in rows if row["released"]] == [number]
    assert call("quarantine", "release", *words, "--worker", "z", "--reason", "r", "--check", "none", *at).code == 2
    for file in home.rglob("*"):
        if file.is_file() and "restricted" not in file.relative_to(home).parts:
            assert "鼽龖".encode() not in file.read_bytes(), file


# -- review ------------------------------------------------------------------------------------------------------------


def test_the_review_list_shows_no_text_outside_the_restricted_zone(place: Path) -> None:
    listed = call("review", "list", "--json").json
    assert listed["open"] == len(listed["items"]) == listed["states"]["open"] > 1
    # Bodies without a full name, and what only may be a name.
    assert "ORGANIZATION" in listed["by_entity"].keys() <= {"ORGANIZATION", "PERSON"}
    assert sum(listed["by_entity"].values()) == listed["open"]
    name = listed["items"][0]["id"]
    out = place / ".meddata" / "restricted" / "review" / "item.jsonl"
    assert call("review", "show", name, "--out", str(out)).code == 0
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["id"] == name and out.stat().st_mode & 0o077 == 0
    assert len(written["before"]) <= 20 >= len(written["after"])
    for words in (("list",), ("list", "--json"), ("show", name), ("show", name, "--json"), ("next",)):
        answer = call("review", *words)
        assert answer.code == 0 and written["surface"] not in answer.out + answer.err
    assert call("review", "show", name, "--out", str(place / "item.jsonl")).code == 2
    assert not (place / "item.jsonl").exists()
    assert f"【{written['surface']}】" in call("review", "show", name[:8], terminal=True).out
    assert call("review", "show", "ffffffffffffffff").code == 2
    assert call("review", "list", "--state", "lost").code == 2


def test_a_decision_changes_the_next_run_and_is_in_the_ledger(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(place / ".meddata", home)
    monkeypatch.setattr(engine, "default_rules", doubtful_rules)
    monkeypatch.setenv("MEDDATA_HOME", str(home))
    first, second = call("review", "list", "--json").json["items"][:2]
    out = home / "restricted" / "review" / "item.jsonl"
    call("review", "show", first["id"], "--out", str(out))
    seen = json.loads(out.read_text(encoding="utf-8"))

    def decide(name: str, word: str, *more: str) -> Answer:
        return call("review", word, name, "--reason", f"{seen['surface']} is public", *more, "--json")

    assert decide(first["id"], "accept", "--role", "janitor").code == 2
    assert call("review", "accept", first["id"], "--role", "privacy-officer", "--reason", " ").code == 2
    role = ("--role", "privacy-officer", "--worker", "w1")
    accepted = decide(first["id"], "accept", *role)
    assert accepted.json["item"]["state"] == "accepted"
    assert accepted.json["next_command"] == f"meddata run --hospital {first['hospital']} --day {first['day']}"
    assert decide(first["id"], "accept", *role).code == 0  # said again: nothing happens twice
    assert decide(second["id"], "mask", *role).json["item"]["by"] == "privacy-officer/w1"

    work = workplace_of(settings_of(home))
    with work.ledger() as ledger:
        events = ledger.events("review-decision")
    assert [(e.subject, e.payload["decision"], e.payload["worker"]) for e in events] == [
        (first["id"], "accepted", "w1"),
        (second["id"], "masked", "w1"),
    ]
    assert not any(seen["surface"] in str(e) for e in events)

    before = call("review", "list", "--json").json["open"]
    for hospital, day in {(i["hospital"], i["day"]) for i in (first, second)}:
        assert nights.deidentified(work, hospital, day) is None
        nights.deidentify(work, hospital, day)
        assert nights.deidentified(work, hospital, day) is not None
    assert call("review", "list", "--json").json["open"] == before
    facts = [
        nights.deidentified(work, h, d) for h in work.config.hospitals() for d in nights.days_with_records(work, h)
    ]
    assert sum(f["spans"].facts["review"]["open"] for f in facts if f) == before
    table = work.lake.read(nights.deid_partition(first["kind"], first["hospital"], first["day"]))
    texts = [text for text in table[first["column"]].to_pylist() if text and seen["surface"] in text]
    assert len(texts) == 1  # in the other documents the same surface stays masked


# -- explain -----------------------------------------------------------------------------------------------------------


def test_every_row_of_a_file_is_accounted_for(place: Path) -> None:
    """Quarantined, recorded or excluded: explain agrees with the balance of ingest, row by row."""
    from meddata_pipeline.app.status import deliveries
    from meddata_pipeline.core.settings import Settings

    facts = deliveries(Settings.from_env(place / ".meddata"))
    day, balance = next(
        ((h, d), b)
        for (h, d), f in sorted(facts.items())
        for b in f["balance"]
        if b["quarantined"] and b["excluded"] and b["rows_in"] < 150
    )
    codes = []
    for row in range(balance["rows_in"]):
        answer = call("explain", f"{day[0]}/{day[1]}/{balance['file']}:{row}", "--json").json
        codes.append(answer["reasons"][0]["code"].split("-")[0])
    assert codes.count("quarantined") == sum(balance["quarantined"].values())
    assert codes.count("excluded") == sum(balance["excluded"].values())
    assert codes.count("recorded") == balance["recorded"]
    assert call("explain", f"{day[0]}/{day[1]}/{balance['file']}:{balance['rows_in']}").code == 2


def test_columns_are_explained_where_they_are_decided(place: Path) -> None:
    def code(name: str) -> set[str]:
        return {r["code"] for r in call("explain", name, "--json").json["reasons"]}

    assert code("inflammation-pulpitis-cohort/person_id") == {"withheld-identifier"}
    assert code("inflammation-pulpitis-cohort/neutrophils") == {"withheld-helper"}
    assert code("inflammation-pulpitis-cohort/age") == {"generalised"}
    assert code("hospital-a/身份证号") == {"withheld-direct"}
    assert code("hospital-a/没有这一列") == {"unmapped"}
    assert call("explain", "hospital-x/y").code == 2


# -- decisions ---------------------------------------------------------------------------------------------------------


def decide(home: Path, decision: str, role: str, key: Path, *more: str) -> Answer:
    words = ("release", decision, PRODUCT, "--role", role, "--key", str(key), "--reason", "seen")
    return call(*words, *more, "--home", str(home), "--json")


def test_people_decide_by_role(place: Path, waiting: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(waiting, home)
    shutil.rmtree(home / "products" / PRODUCT / "signoffs", ignore_errors=True)
    officer, owner = place / "officer.pem", place / "data-owner.pem"
    shown = call("release", "show", PRODUCT, "--home", str(home), "--json").json
    assert shown["state"] == "waiting" and set(shown["missing"]) == set(ROLES)
    assert shown["files"] and Path(shown["folder"]).is_dir()

    assert decide(home, "approve", "data-owner", officer).code == 2  # somebody else's key
    assert decide(home, "approve", "janitor", officer).code == 2
    stale = decide(home, "approve", "data-owner", owner, "--digest", "00000000")
    assert (stale.code, stale.json["reasons"][0]["code"]) == (1, "candidate-changed")
    assert not (home / "products" / PRODUCT / "signoffs").exists()

    first = decide(home, "approve", "privacy-officer", officer, "--digest", shown["candidate"][:8]).json
    assert first["missing"] == ["data-owner"] and "--role data-owner" in first["next_command"]
    refused = decide(home, "reject", "data-owner", owner).json
    assert refused["state"] == "rejected" and refused["rejected"] == {"data-owner": "seen"}
    last = decide(home, "approve", "data-owner", owner).json
    assert (last["state"], last["next_command"]) == ("signed", f"meddata run --product {PRODUCT}")


def test_a_published_candidate_is_not_signed_again(place: Path, waiting: Path) -> None:
    home = place / ".meddata"
    answer = decide(home, "approve", "privacy-officer", place / "officer.pem", "--config", str(waiting / "config"))
    assert (answer.code, answer.json["reasons"][0]["code"]) == (1, "already-published")


def test_nobody_approves_what_a_gate_refused(place: Path, waiting: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(waiting, home)
    manifest = home / "restricted" / "candidate" / "dossier" / PRODUCT / "_manifest.json"
    body = json.loads(manifest.read_bytes())
    body["facts"]["checks"][1]["passed"] = False
    manifest.write_text(json.dumps(body), encoding="utf-8")
    answer = decide(home, "approve", "privacy-officer", place / "officer.pem")
    assert (answer.code, answer.json["reasons"][0]["code"]) == (1, "identifier-in-release")
    assert decide(home, "reject", "privacy-officer", place / "officer.pem").code == 0


# -- catalogue and trade -----------------------------------------------------------------------------------------------


def test_a_sale_is_settled_to_the_fen_and_verifies(place: Path, variables: None) -> None:
    settled = run("meddata settle $ORDER --json").json
    lines = [line["amount_fen"] for part in ("taxes", "fees", "payouts") for line in settled[part]]
    assert sum(lines) == settled["gross_fen"] == 400000
    before = len(call("order", "list", "--json").json["items"])
    assert run(f"meddata order place {PRODUCT} 1.1 --buyer $BUYER --price-fen 400000").code == 0
    assert len(call("order", "list", "--json").json["items"]) == before
    assert run(f"meddata order place {PRODUCT} 1.1 --buyer $BUYER --price-fen 1000").code == 1
    bundle = Path(os.environ["BUNDLE"])
    bad = place / "bad.age"
    data = bytearray(bundle.read_bytes())
    data[-20] ^= 1
    bad.write_bytes(data)
    answer = call("verify", str(bad), "--identity", "buyer.txt", "--json")
    assert (answer.code, answer.json["ok"]) == (1, False)
    assert call("verify", str(bundle), "--json").code == 2  # encrypted, and no identity


def test_price_without_a_candidate_comes_from_the_offer_alone(place: Path) -> None:
    made, bare = call("price", PRODUCT, "--json").json, call("price", PRODUCT, "--home", "absent", "--json").json
    assert (made["of_candidate"], bare["of_candidate"]) == (True, False)
    assert made["costs_fen"] == bare["costs_fen"] and isinstance(made["point_fen"], int)
    assert not Path("absent").exists()


def test_the_server_knows_published_files_only(place: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(place / ".meddata", home)
    product = home / "products" / PRODUCT
    shutil.copytree(product / "1.1", product / "1.2")  # a folder without a commit is the remains of a killed process
    (home / "catalog" / "link").symlink_to(home / "restricted" / "keys" / "fingerprint")
    (product / "1.1" / "link.html").symlink_to(home / "ledger.db")
    base = f"/products/{PRODUCT}"
    for address in ("/catalog/", "/catalog/index.html", f"{base}/1.1/results.json", f"{base}/1.1/report.zh.html?x=1"):
        assert published_file(home, address) is not None, address
    for address in (
        "/restricted/keys/fingerprint",
        "/catalog/../restricted/keys/fingerprint",
        "/catalog/%2e%2e/restricted/keys/fingerprint",
        "/catalog/..%2frestricted/keys/fingerprint",
        "/ledger.db",
        "/catalog/link",
        f"{base}/1.1/link.html",
        f"{base}/1.2/results.json",
        f"{base}/1.1/../1.2/results.json",
        f"{base}/9.1/results.json",
        f"{base}/state.json",
        f"{base}/bundles/x.age",
        f"{base}/signoffs/",
        "/products/../ledger.db",
    ):
        assert published_file(home, address) is None, address


def test_the_server_answers_this_machine_only(place: Path) -> None:
    made = server(place / ".meddata", 0)
    port = made.server_address[1]
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:

        def get(path: str, host: str = f"127.0.0.1:{port}", method: str = "GET") -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read()

        assert get("/")[0] == 302
        status, page = get("/catalog/index.html")
        assert status == 200 and PRODUCT.encode() in page
        # Every link of a page leads somewhere from where it is served.
        _, page = get(f"/catalog/products/{PRODUCT}/index.html")
        links = set(re.findall(rb'href="(\.\./\.\./\.\./products/[^"#]+)"', page))
        assert links
        for link in links:
            assert get("/" + link.decode().removeprefix("../../../"))[0] == 200, link
        assert get("/restricted/keys/fingerprint")[0] == 404
        assert get("/catalog/index.html", host="evil.example")[0] == 403
        assert get("/catalog/index.html", method="POST")[0] == 501
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def _heed_ctrl_c() -> None:
    """Started in the background, as by nohup, tests inherit that SIGINT is ignored, and so would the server."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_serving_ends_with_ctrl_c(place: Path) -> None:
    command = [sys.executable, "-m", "meddata_pipeline.cli", "catalog", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heed_ctrl_c) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            url = json.loads(process.stdout.readline())["url"]
            assert url.startswith("http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_catalog_validate_refuses_an_entry_without_a_title(place: Path) -> None:
    entry = place / "entry.ttl"
    source = (place / ".meddata" / "products" / PRODUCT / "1.1" / "entry.ttl").read_text(encoding="utf-8")
    entry.write_text(re.sub(r"dct(erms)?:title [^;]*;", "", source), encoding="utf-8")
    answer = call("catalog", "validate", str(entry), "--json")
    assert answer.code == 1
    assert answer.json["violations"] == len(answer.json["reasons"]) > 0
    entry.write_text("not turtle {{{", encoding="utf-8")
    assert call("catalog", "validate", str(entry)).code == 2
