"""From drawn notes over a page in a real browser to the bound that lets a text product pass, or not."""

from __future__ import annotations

import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from meddata_pipeline.app import candidates, leak_audit, leak_sample, nights
from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.errors import BadInput, Refused
from meddata_pipeline.core.tables import kinds
from meddata_pipeline.privacy.policy import TextTerms
from meddata_pipeline.privacy.review_page import review_page
from meddata_pipeline_tests.conftest import Demo
from meddata_pipeline_tests.e2e import pipeline
from meddata_pipeline_tests.unit.cli.calling import call

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSPITALS = ("hospital-a", "hospital-b", "hospital-c")
LOOSE = TextTerms(leak_bound=0.06)


@pytest.fixture
def place(demo: Demo, tmp_path: Path) -> Workplace:
    return pipeline.workplace(demo.copy(tmp_path / "home"), demo.landing)


def answers(
    folder: Path, made: dict[str, Any], reader: str, leaking: tuple[int, ...] = (), unread: tuple[int, ...] = ()
) -> Path:
    """What the page saves for a reader who marked some notes."""
    notes = [{"read": i not in unread, "leaks": [[0, 2]] if i in leaking else []} for i in range(made["notes"])]
    path = folder / f"{reader}-answers.json"
    body = {"format": "meddata-review/1", "sample": made["sample"], "reader": reader, "notes": notes}
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def codes(place: Workplace, terms: TextTerms = LOOSE) -> list[str]:
    everyone = sorted({p.keys[0] for p in place.lake.partitions("deid", "note")})
    return [r.code for r in leak_sample.bound_reasons(place, everyone, terms, "here")]


# -- drawing -----------------------------------------------------------------------------------------------------------


def test_a_sample_follows_from_its_seed_and_a_larger_one_holds_it(place: Workplace) -> None:
    def items(n: int, seed: int) -> set[tuple[str, ...]]:
        made = leak_sample.draw(place, n, seed)
        facts = json.loads((place.home / made["folder"] / "sample.json").read_bytes())
        assert facts["notes"] == len({tuple(i) for i in facts["items"]}) == n
        assert sum(made["hospitals"].values()) == n
        assert all(made["hospitals"][h] >= 1 for h in HOSPITALS)
        return {tuple(i) for i in facts["items"]}

    small = items(30, 5)
    assert leak_sample.draw(place, 30, 5) == leak_sample.draw(place, 30, 5)
    assert small <= items(60, 5)
    assert small != items(30, 6)


@pytest.mark.parametrize(
    ("population", "n", "shares"),
    [
        ({"a": 100, "b": 100}, 10, {"a": 5, "b": 5}),
        ({"a": 10_000, "b": 1}, 10, {"a": 9, "b": 1}),
        ({"a": 3, "b": 4}, 300, {"a": 3, "b": 4}),
        ({"a": 1, "b": 1, "c": 1000}, 3, {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_hospitals_share_a_sample_by_their_size(population: dict[str, int], n: int, shares: dict[str, int]) -> None:
    assert leak_sample.allocate(population, n) == shares


def test_notes_are_shown_as_a_release_shows_them(place: Workplace) -> None:
    made = leak_sample.draw(place, 60, 1)
    tagged = leak_sample.draw(place, 60, 1, style="tag")
    pages = [(place.home / m["page"]).read_text(encoding="utf-8") for m in (made, tagged)]
    notes = [json.loads(re.search(r'id="data">(.*?)</script>', p, re.S)[1])["notes"] for p in pages]  # type: ignore[index]
    for shown, tags in zip(*notes, strict=True):
        assert len(shown["placed"]) == len(tags["placed"])
        pieces = [re.split(r"\[[A-Z_]+_[0-9]+\]", tags["text"]), []]
        last = 0
        for start, end in shown["placed"]:
            pieces[1].append(shown["text"][last:start])
            last = end
        assert pieces[0] == [*pieces[1], shown["text"][last:]]
    assert sum(len(n["placed"]) for n in notes[0]) > 60
    assert not any("[PERSON" in n["text"] for n in notes[0])


def _escaped(stretch: bytes) -> bytes:
    """A stretch of text as JSON without characters outside ASCII."""
    return json.dumps(stretch.decode())[1:-1].encode()


def test_what_is_drawn_lies_in_the_restricted_zone_alone(place: Workplace, tmp_path: Path) -> None:
    before = {p for p in place.home.rglob("*") if p.is_file()}
    said = call("review", "sample", "--n", "40", "--home", str(place.home), "--json")
    assert said.code == 0, said.err
    folder = place.home / said.json["folder"]
    new = {p for p in place.home.rglob("*") if p.is_file()} - before
    assert {p.relative_to(place.home).parts[:2] for p in new} == {("restricted", "review")}
    assert {p.stat().st_mode & 0o777 for p in new} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    page = (folder / "index.html").read_text(encoding="utf-8")
    notes = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["notes"]  # type: ignore[index]
    texts = [n["text"] for n in notes]
    for reader in ("one", "two"):
        path = answers(tmp_path, said.json, reader, (3,))
        said = call("review", "sample", "--import", str(path), "--home", str(place.home), "--json")
        assert said.code == 0, said.err
        said = call("review", "sample", "--n", "40", "--home", str(place.home), "--json") if reader == "one" else said
    # Stretches of the notes, not whole notes: a log would quote a part.
    stretches = {t[i : i + 12].encode() for t in texts for i in range(0, len(t) - 12, 12)}
    outside = [p for p in place.home.rglob("*") if p.is_file() and "restricted" not in p.relative_to(place.home).parts]
    told = b"".join(p.read_bytes() for p in outside) + said.out.encode() + said.err.encode()
    assert len(stretches) > 40
    assert not [s for s in stretches if s in told or _escaped(s) in told]
    # The control: in the form in which the page holds them, they are found.
    assert [s for s in stretches if _escaped(s) in page.encode()]


def test_bad_requests_are_refused_in_one_sentence(place: Workplace, tmp_path: Path) -> None:
    home = ["--home", str(place.home)]
    made = leak_sample.draw(place, 30, 1)
    empty = tmp_path / "empty.json"
    empty.write_text("{}", encoding="utf-8")
    foreign = answers(tmp_path, {**made, "sample": "0" * 64}, "somebody")
    half = answers(tmp_path, made, "hasty", unread=(4, 5))
    for words, said in [
        (["--n", "1"], "hospitals"),
        (["--product", "no-such"], "known are"),
        (["--style", "plain"], "--style"),
        (["--import", str(tmp_path / "none.json")], "cannot be read"),
        (["--import", str(empty)], "not one of answers"),
        (["--import", str(foreign)], "no such sample"),
        (["--import", str(half)], "28 of 30"),
    ]:
        answer = call("review", "sample", *words, *home)
        assert answer.code == 2, (words, answer.err)
        assert said in answer.err
        assert "Traceback" not in answer.err


# -- the bound and the gate --------------------------------------------------------------------------------------------


def test_two_readers_make_evidence_and_one_does_not(place: Workplace, tmp_path: Path) -> None:
    made = leak_sample.draw(place, 100, 1)
    assert codes(place) == ["leak-bound-missing"]
    first = leak_sample.take(place, [answers(tmp_path, made, "Reader One", (1, 2))])
    assert (first["readers"], first["evidence"]) == (1, None)
    assert leak_sample.take(place, [answers(tmp_path, made, "reader  one ".strip(), (1, 2))])["readers"] == 1
    assert codes(place) == ["leak-bound-missing"]
    second = leak_sample.take(place, [answers(tmp_path, made, "two", (2, 7))])
    found = second["evidence"]
    assert (found["leaking"], found["notes"], second["disagreements"]) == (3, 100, [2, 8])
    assert found["upper_bound"] == pytest.approx(0.0757, abs=1e-4)
    assert codes(place) == ["leak-bound-too-high"]
    assert codes(place, TextTerms(leak_bound=0.08)) == []
    with place.ledger() as ledger:
        (event,) = ledger.events(leak_sample.EVENT)
    assert event.payload == found
    assert "reader" not in json.dumps(event.payload).replace("readers", "")
    with pytest.raises(BadInput, match="Two other people"):
        leak_sample.take(place, [answers(tmp_path, made, "three")])


def test_later_answers_count_and_other_samples_add_up(place: Workplace, tmp_path: Path) -> None:
    def read(seed: int, n: int, leaking: tuple[int, ...]) -> None:
        made = leak_sample.draw(place, n, seed)
        leak_sample.take(place, [answers(tmp_path, made, "one", leaking), answers(tmp_path, made, "two")])

    read(1, 60, (0, 1, 2))
    assert codes(place) == ["leak-bound-too-high"]
    # Another sample without a leak does not wipe out the first: 3 of 120 are up to 6.4 %.
    read(2, 60, ())
    assert codes(place) == ["leak-bound-too-high"]
    read(1, 60, ())
    assert codes(place) == []


def test_evidence_is_void_when_the_texts_change_or_other_hospitals_take_part(place: Workplace, tmp_path: Path) -> None:
    made = leak_sample.draw(place, 60, 1)
    leak_sample.take(place, [answers(tmp_path, made, "one"), answers(tmp_path, made, "two")])
    assert codes(place) == []
    reasons = leak_sample.bound_reasons(place, ["hospital-a"], LOOSE, "here")
    assert [r.code for r in reasons] == ["leak-bound-missing"]
    assert codes(place, TextTerms(kinds=["note", "pathology"], leak_bound=0.5)) == ["leak-bound-missing"]
    partition = next(p for p in place.lake.partitions("deid", "note") if p.keys[0] == "hospital-a")
    table = place.lake.read(partition)
    place.lake.write(partition, table.slice(0, table.num_rows - 1))
    assert codes(place) == ["leak-bound-missing"]


def test_shipped_products_hold_no_text_and_need_no_readers(place: Workplace) -> None:
    for product in (pipeline.REPORT, pipeline.COHORT):
        spec, contract = candidates.spec_of(place, product), candidates.contract_of(place, product)
        assert leak_sample.text_of(spec, contract, candidates.released_frame(place, product)) == []


def test_a_column_is_text_by_what_it_holds_whatever_it_is_called(place: Workplace) -> None:
    spec, contract = candidates.spec_of(place, pipeline.COHORT), candidates.contract_of(place, pipeline.COHORT)
    frame = pd.DataFrame({"code": ["K04.0", None], "remark": ["短", "右下后牙自发痛三天，" * 7], "n": [1, 2]})
    assert leak_sample.text_of(spec, contract, frame) == ["remark"]
    assert leak_sample.text_of(spec.model_copy(update={"form": "notes"}), contract) == ["notes"]


def test_a_product_of_notes_is_refused_until_people_have_read(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = candidates.spec_of(place, pipeline.COHORT)
    notes = spec.model_copy(update={"form": "notes"})
    monkeypatch.setattr(candidates, "spec_of", lambda *_: notes)
    assert not candidates.is_current(place, pipeline.COHORT)
    with pytest.raises(Refused) as refusal:
        candidates.protect(place, pipeline.COHORT)
    assert [r.code for r in refusal.value.reasons] == ["leak-bound-missing"]
    made = leak_sample.draw(place, 10_000, 1, pipeline.COHORT)
    assert made["notes"] == made["population"]
    leak_sample.take(place, [answers(tmp_path, made, "one"), answers(tmp_path, made, "two")])
    refused = leak_sample.bound_reasons(place, candidates.hospitals_of(place, notes), TextTerms(), "x")
    # 200 patients have too few notes for 1 %; with a looser limit the same candidate passes.
    assert [r.code for r in refused] == ["leak-bound-too-high"]
    policy, base = candidates.policy_of(place, pipeline.COHORT)
    loose = policy.model_copy(update={"text": LOOSE})
    monkeypatch.setattr(candidates, "policy_of", lambda *_: (loose, base))
    assert candidates.protect(place, pipeline.COHORT).rows


# -- the audit of a night ----------------------------------------------------------------------------------------------


def test_every_night_is_audited_and_only_counts_are_told(place: Workplace) -> None:
    for hospital in HOSPITALS:
        for day in nights.days_with_records(place, hospital):
            outcome = leak_audit.audited(place, hospital, day)
            assert outcome is not None
            facts = outcome.facts
            assert facts["documents"] > 0 and facts["characters"] > facts["documents"]
            assert facts["planted"] == sum(r["planted"] for r in facts["recall"].values())
            assert facts["recall"]["CN_RESIDENT_ID"]["recall"] >= 0.9
            assert facts["recall"]["PERSON"]["when_known"] == 1
            assert set(outcome.figures) == {"recall", "recognizers"}
            told = json.dumps(outcome.as_facts(), ensure_ascii=False)
            for kind in nights.TEXT_KINDS:
                table = place.lake.read(nights.records_partition(kind, hospital, day))
                texts = {t for c in kinds()[kind].names("text") for t in table[c].to_pylist() if t and len(t) >= 8}
                assert not [t for t in texts if t[:8] in told]
            names = nights.identities_of(place, hospital).all_names()
            assert not [n for n in names if n in told]


def test_a_detector_that_does_not_work_stops_the_night_and_its_products(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meddata_pipeline.privacy import probes

    day = nights.days_with_records(place, "hospital-a")[0]
    monkeypatch.setattr(leak_audit, "_probes_version", lambda: "another")
    assert leak_audit.audited(place, "hospital-a", day) is None
    monkeypatch.setattr(probes, "search", lambda planted, *_: [0.0] * len(planted))
    failed = {c.name: c.severity for c in leak_audit.audit(place, "hospital-a", day).checks if not c.passed}
    assert failed == {"planted_recall": "warning", "planted_recall_floor": "error"}
    assert {r.code for r in nights.gate(place, ["hospital-a"])} == {"detector-broken"}


# -- the page in a browser ---------------------------------------------------------------------------------------------

PROBE = """<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre><script>
const frame = document.createElement("iframe");
frame.style.cssText = "border:0;height:900px;width:390px";
frame.onload = async () => {
  const page = frame.contentDocument, view = frame.contentWindow, facts = {};
  const press = key => page.dispatchEvent(new view.KeyboardEvent("keydown", { key, bubbles: true }));
  const select = words => {
    const walker = page.createTreeWalker(page.getElementById("note"), 4);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const at = node.data.indexOf(words);
      if (at < 0) continue;
      const range = page.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + words.length);
      page.getSelection().removeAllRanges();
      page.getSelection().addRange(range);
      return;
    }
    throw new Error("not on the page: " + words);
  };
  const saved = () => new Promise(done => {
    view.URL.createObjectURL = blob => { blob.text().then(done); return "#"; };
    page.getElementById("save").click();
  });
  facts.title = page.querySelector("h1").textContent;
  facts.scroll = page.documentElement.scrollWidth;
  facts.placed = Array.from(page.querySelectorAll(".placed"), e => e.textContent);
  page.getElementById("reader").value = "A";
  select("张三丰");
  press("m");
  facts.marked = Array.from(page.querySelectorAll(".leak"), e => e.textContent);
  press("n");
  press("ArrowRight");
  press("m");
  press("u");
  press("ArrowRight");
  press("p");
  press("m");
  facts.where = page.getElementById("where").textContent;
  facts.bar = page.getElementById("progress").value;
  facts.done = page.getElementById("said").textContent;
  page.getElementById("language").click();
  facts.other = page.querySelector("h1").textContent;
  facts.lang = page.documentElement.lang;
  facts.answers = JSON.parse(await saved());
  document.getElementById("result").textContent = JSON.stringify(facts);
};
frame.src = "index.html";
document.body.append(frame);
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _chromium(url: str, profile: Path) -> tuple[str, list[str]]:
    assert CHROMIUM is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr "
        f"--virtual-time-budget=20000 --dump-dom --user-data-dir={profile}"
    )
    command = [CHROMIUM, *flags.split(), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
def test_the_page_is_read_with_the_keyboard_and_its_answers_are_places_in_code_points(tmp_path: Path) -> None:
    # A character outside the basic plane before the mark: JavaScript counts it twice, the project once.
    texts = ["𠮷😀患者[X]与张三丰同来", "</script><b>复诊</b>\n王某", "第三份"]
    page = review_page("zh", "d" * 64, texts, [[(4, 7)], [], []])
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    (tmp_path / "probe.html").write_text(PROBE, encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/probe.html"
        printed, console = _chromium(url, tmp_path / "profile")
    finally:
        server.shutdown()
        server.server_close()
    assert console == []
    result = re.search(r'<pre id="result">(.*?)</pre>', printed, re.DOTALL)
    assert result and result[1], "the probe did not finish"
    facts = json.loads(html.unescape(result[1]))
    assert (facts["title"], facts["other"], facts["lang"]) == ("泄漏抽查", "Reading for leaks", "en")
    assert facts["scroll"] <= 390
    assert (facts["placed"], facts["marked"]) == (["[X]"], ["张三丰"])
    assert facts["bar"] == 3
    assert facts["where"] == "第 2 / 3 · 已读 3 · 有泄漏的份数 2"
    assert facts["done"].startswith("已全部读完")
    assert facts["answers"] == {
        "format": "meddata-review/1",
        "sample": "d" * 64,
        "reader": "A",
        "notes": [
            {"read": True, "leaks": [[8, 11]]},
            {"read": True, "leaks": [[0, len(texts[1])]]},
            {"read": True, "leaks": []},
        ],
    }


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
def test_the_page_works_from_a_folder_and_loads_nothing(tmp_path: Path) -> None:
    page = review_page("en", "d" * 64, ["one note"], [[]])
    assert not re.findall(r"""(?:src|href)=["'](?!data:,|#)""", page)
    assert "default-src 'none'" in html.unescape(page)
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    printed, console = _chromium((tmp_path / "index.html").as_uri(), tmp_path / "profile")
    assert console == []
    assert "Note 1 / 1" in printed
