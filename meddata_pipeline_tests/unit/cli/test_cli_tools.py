"""Commands on single files: answers, exit codes, and that no message repeats what a file holds."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from meddata_pipeline import cli
from meddata_pipeline_tests.unit.cli.calling import call

CANARY = "李测鸟110101190001011234"

POLICY = """
quasi_identifiers:
  age: {intervals: [[20, 30, 40], [30]], open: true, raw: false}
  sex: {}
sensitive: [low]
insensitive: [smoke]
privacy: [{model: k-anonymity, k: 3}]
suppression_limit: 0.1
"""
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: births
name: Births
version: "1.0"
status: active
schema:
  - name: births
    physicalType: table
    properties:
      - {name: age, logicalType: integer, required: true}
      - {name: sex, logicalType: string, required: true}
      - {name: smoke, logicalType: integer, required: true}
      - {name: low, logicalType: integer, required: true}
"""
STUDY = """
study: births
variables:
  low: {type: binary, event: 1}
  smoke: {type: binary, event: 1}
exposure: smoke
outcome: low
analyses:
  - {id: crude, method: two-by-two}
  - {id: adjusted, method: logistic, covariates: [age]}
"""


def births(path: Path, extra: str = "") -> Path:
    """A made-up table of 120 births."""
    draw = random.Random(5)
    rows = [f"{draw.randint(18, 44)},{draw.choice('MF')},{draw.randint(0, 1)},{draw.randint(0, 1)}" for _ in range(120)]
    path.write_text("age,sex,smoke,low\n" + "\n".join(rows) + "\n" + extra, encoding="utf-8")
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the tools read; no home."""
    monkeypatch.chdir(tmp_path)
    for variable in ("MEDDATA_HOME", "MEDDATA_LANG", "MEDDATA_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    births(tmp_path / "births.csv")
    for name, text in {"policy": POLICY, "contract": CONTRACT, "study": STUDY}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    inner = getattr(group, "commands", None)
    if inner is None:
        yield path, group
        return
    for name, command in inner.items():
        yield from commands(command, (*path, name))


EVERY = list(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("words", [words for words, _ in EVERY], ids=" ".join)
def test_every_help_has_an_example_of_its_command(words: tuple[str, ...]) -> None:
    answer = call(*words, "--help")
    assert answer.code == 0
    assert f"Example: meddata {' '.join(words)}" in " ".join(answer.out.replace("│", " ").split())


def test_detect_answers_in_order_and_says_which_lines_are_bad(place: Path) -> None:
    lines = [
        json.dumps({"id": 1, "text": "患者李小明，电话13812345678"}, ensure_ascii=False).encode(),
        b'{"id": 2, "text": "\xff\xfe"}',
        b"",
        f'{{"id": 3, "text": "{CANARY}"'.encode(),
        json.dumps({"id": "\ud83c", "text": "正常"}).encode(),
    ]
    (place / "notes.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    answer = call("detect", "notes.jsonl", "--json")
    assert answer.code == 2
    assert [line.get("id", line.get("line")) for line in answer.lines] == [1, 2, 4, "\ud83c"]
    assert {span["entity"] for span in answer.lines[0]["spans"]} == {"PERSON", "PHONE_NUMBER"}
    assert CANARY not in answer.out + answer.err


def test_the_roster_names_staff(place: Path) -> None:
    (place / "staff.txt").write_text("欧阳鹤鸣\n", encoding="utf-8")
    (place / "notes.jsonl").write_text('{"id": 1, "text": "随后由欧阳鹤鸣复诊"}\n', encoding="utf-8")
    found = call("detect", "notes.jsonl", "--roster", "staff.txt").lines[0]["spans"]
    assert [(span["start"], span["end"]) for span in found] == [(3, 7)]


def test_redact_repeats_itself_under_a_key_only(place: Path) -> None:
    assert call("keys", "new", "root.key", "--root", "--home", "home").code == 0
    (place / "notes.jsonl").write_text('{"id": 1, "text": "患者李小明，电话13812345678"}\n', encoding="utf-8")
    words = ("redact", "notes.jsonl", "--style", "surrogate")
    kept = call(*words, "--key-file", "root.key")
    assert kept.code == 0 and "ephemeral" not in kept.err
    assert "李小明" not in kept.out and "13812345678" not in kept.out
    assert call(*words, "--key-file", "root.key").out == kept.out
    fleeting = call(*words)
    assert "ephemeral" in fleeting.err
    assert fleeting.out != kept.out


def test_a_short_key_is_refused(place: Path) -> None:
    (place / "short.key").write_bytes(base64.b64encode(b"short"))
    (place / "notes.jsonl").write_text('{"id": 1, "text": "x"}\n', encoding="utf-8")
    assert call("redact", "notes.jsonl", "--key-file", "short.key").code == 2


def test_anonymize_writes_a_table_that_its_risk_agrees_with(place: Path) -> None:
    made = call("anonymize", "births.csv", "--policy", "policy.yaml", "--out", "released.csv", "--json")
    assert made.code == 0
    assert made.json["solution"] is True and made.json["classes"]["min"] >= 3
    after = call("risk", "released.csv", "--policy", "policy.yaml", "--json").json
    assert after["prosecutor"]["highest"] == made.json["risk"]["prosecutor"]["highest"] <= 1 / 3
    before = call("risk", "births.csv", "--policy", "policy.yaml", "--json").json
    assert before["prosecutor"]["highest"] > after["prosecutor"]["highest"]


def test_without_a_solution_nothing_is_written(place: Path) -> None:
    (place / "policy.yaml").write_text(POLICY.replace("k: 3", "k: 100"), encoding="utf-8")
    answer = call("anonymize", "births.csv", "--policy", "policy.yaml", "--out", "released.csv", "--json")
    assert answer.code == 1
    assert answer.json["reasons"]
    assert not (place / "released.csv").exists()


def test_validate_names_the_failed_checks(place: Path) -> None:
    assert call("validate", "births.csv", "--contract", "contract.yaml", "--json").json["passed"] is True
    births(place / "births.csv", extra=f"30,{CANARY},0,\n")
    answer = call("validate", "births.csv", "--contract", "contract.yaml", "--json")
    assert answer.code == 1
    assert {"id", "dimension", "severity", "status", "failed_rows"} <= set(answer.json["checks"][0])
    assert any("low" in reason["where"] for reason in answer.json["reasons"])
    assert CANARY not in answer.out + answer.err


def test_associate_gives_the_odds_ratio_of_the_table(place: Path) -> None:
    answer = call("associate", "births.csv", "--study", "study.yaml", "--out", "report", "--json")
    assert answer.code == 0
    found = {e["id"]: e for e in answer.json["estimates"]}
    a, b, c, d = (found[f"crude/smoke/{cell}"]["estimate"] for cell in "abcd")
    assert found["crude/smoke/or"]["estimate"] == pytest.approx(a * d / (b * c), rel=1e-12)
    written = json.loads((place / "report" / "results.json").read_text(encoding="utf-8"))
    assert written["estimates"] == answer.json["estimates"]
    assert (place / "report" / "results.json").stat().st_mode & 0o077 == 0
    page = (place / "report" / "report.html").read_text(encoding="utf-8")
    assert 'lang="en"' in page
    call("associate", "births.csv", "--study", "study.yaml", "--out", "report", "--lang", "zh")
    assert 'lang="zh' in (place / "report" / "report.html").read_text(encoding="utf-8")


def test_lines_in_another_encoding_are_said_to_be_so(place: Path) -> None:
    good = '{"id": 1, "text": "患者李小明"}\n'
    (place / "notes.jsonl").write_bytes(good.encode() + good.encode("gb18030") + good.encode("utf-8-sig"))
    answer = call("detect", "notes.jsonl")
    assert answer.code == 2
    lines = [json.loads(line) for line in answer.out.splitlines()]
    assert lines[0]["spans"]
    assert lines[1] == {"line": 2, "error": "not UTF-8"}
    assert "李小明" not in answer.out + answer.err


TOOLS = {
    "anonymize": ("anonymize", "births.csv", "--policy", "policy.yaml", "--out", "released.csv"),
    "risk": ("risk", "births.csv", "--policy", "policy.yaml"),
    "validate": ("validate", "births.csv", "--contract", "contract.yaml"),
    "associate": ("associate", "births.csv", "--study", "study.yaml", "--out", "report"),
}
BROKEN = {
    "long row": f"30,M,0,1,{CANARY},{CANARY}\n".encode(),
    "not UTF-8": f"30,{CANARY},0,1\n".encode("gb18030"),
    "open quote": f'30,"{CANARY},0,1\n'.encode(),
    "zero bytes": f"30,\0{CANARY}\0,0,1\n".encode(),
    "a name for a number": f"{CANARY},M,{CANARY},{CANARY}\n".encode(),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=list(BROKEN))
@pytest.mark.parametrize("words", TOOLS.values(), ids=list(TOOLS))
def test_no_message_repeats_what_the_table_holds(place: Path, words: tuple[str, ...], damage: bytes) -> None:
    table = place / "births.csv"
    table.write_bytes(table.read_bytes() + damage)
    answer = call(*words, "--json")
    assert answer.code in (0, 1, 2)
    assert "Traceback" not in answer.err
    assert CANARY[:3] not in answer.out + answer.err
    assert CANARY[3:] not in answer.out + answer.err


@pytest.mark.parametrize("words", TOOLS.values(), ids=list(TOOLS))
def test_a_missing_table_is_bad_input(place: Path, words: tuple[str, ...]) -> None:
    answer = call(words[0], "absent.csv", *words[2:], "--json")
    assert answer.code == 2
    assert set(answer.json) == {"error", "reasons"}


def test_bad_usage_still_answers_one_object(place: Path) -> None:
    answer = call("risk", "births.csv", "--json")
    assert answer.code == 2
    assert answer.json["reasons"] == []
    assert "--policy" in answer.err


def test_a_foreign_error_is_withheld(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meddata_pipeline.privacy import risk

    def fail(*_: object) -> None:
        raise ValueError(f"could not convert {CANARY}")

    monkeypatch.setattr(risk, "risk_file", fail)
    answer = call(*TOOLS["risk"], "--json")
    assert answer.code == 1
    assert answer.json["reasons"][0]["code"] == "internal-error"
    assert CANARY not in answer.out + answer.err


def test_ctrl_c_ends_quietly(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from meddata_pipeline.privacy import risk

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(risk, "risk_file", stop)
    answer = call(*TOOLS["risk"])
    assert answer.code == 130
    assert "Traceback" not in answer.err


def test_a_reader_that_goes_away_is_no_error(place: Path) -> None:
    line = json.dumps({"id": 1, "text": "x" * 2000}) + "\n"
    (place / "notes.jsonl").write_text(line * 600, encoding="utf-8")
    command = [sys.executable, "-m", "meddata_pipeline.cli", "detect", "notes.jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_keys_are_private_and_never_replaced(place: Path) -> None:
    made = call("keys", "new", "officer.pem", "--json")
    assert made.code == 0
    assert len(base64.b64decode(made.json["public"])) == 32
    assert (place / "officer.pem").stat().st_mode & 0o777 == 0o600
    before = (place / "officer.pem").read_bytes()
    assert before.decode() not in made.out
    assert call("keys", "new", "officer.pem").code == 2
    assert (place / "officer.pem").read_bytes() == before
    assert call("keys", "new", "home/root.key", "--root", "--home", "home").code == 2


def test_looking_at_no_home_creates_none(place: Path) -> None:
    for words in (("status",), ("quarantine", "list"), ("release", "list"), ("order", "list"), ("catalog", "build")):
        answer = call(*words, "--home", "absent", "--json")
        assert answer.code == 2, words
        assert "home" in answer.json["error"]
    assert call("doctor", "--home", "absent", "--json").code == 0
    assert not (place / "absent").exists()


def test_product_check_finds_the_column_that_files_disagree_on(place: Path) -> None:
    from meddata_pipeline.core.config import PACKAGE_CONFIG

    product = "products/inflammation-pulpitis-cohort"
    source = (PACKAGE_CONFIG / product / "privacy.yaml").read_text(encoding="utf-8")
    target = place / "config" / product / "privacy.yaml"
    target.parent.mkdir(parents=True)
    target.write_text(source.replace("pulpitis, teeth,", "pulpitis,"), encoding="utf-8")
    assert call("product", "check", "inflammation-pulpitis-cohort", "--home", "absent").code == 0
    words = ("product", "check", "inflammation-pulpitis-cohort", "--home", "absent", "--config", "config", "--json")
    answer = call(*words)
    assert answer.code == 1
    assert {r["code"] for r in answer.json["reasons"]} == {"not-in-policy", "not-released"}
    assert all("teeth" in r["detail"] for r in answer.json["reasons"])
    target.write_text("privacy: [}\n", encoding="utf-8")
    broken = call(*words)
    assert broken.code == 2
    assert "privacy.yaml, line 1" in broken.json["error"]


def test_a_study_reads_the_columns_that_its_variables_are_made_of() -> None:
    from meddata_pipeline.app.checks import study_columns
    from meddata_pipeline.study.spec import parse_study

    study = parse_study(
        {
            "study": "s",
            "variables": {
                "y": {"type": "binary", "event": 1, "from": "outcome"},
                "x": {"type": "number", "expression": "log(crp + `il-6`)"},
                "g": {"type": "category", "from": "age", "cut": {"quantiles": 4}},
            },
            "exposure": "x",
            "outcome": "y",
            "covariates": ["g", "bmi^2", "sex:smoking", "ns(lwt,3)"],
            "analyses": [{"id": "a", "method": "logistic", "subset": "visits > 1"}],
        }
    )
    expected = {"outcome", "crp", "il-6", "age", "bmi", "sex", "smoking", "lwt", "visits"}
    assert study_columns(study) == expected
