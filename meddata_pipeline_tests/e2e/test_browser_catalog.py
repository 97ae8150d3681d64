"""The catalogue in a real browser: Debian's chromium, headless, at desktop and phone width.

A probe page frames the site's pages at a given width and writes what it finds into its own document, which chromium
prints.
"""

from __future__ import annotations

import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meddata_pipeline.catalog import site
from meddata_pipeline.catalog.exporters import dcat_ap
from meddata_pipeline_tests.unit.catalog.example import release, write_files

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")

PRODUCT = "catalog/products/inflammation-pulpitis"
PAGES = ("catalog/index.html", "catalog/en.html", f"{PRODUCT}/index.html", f"{PRODUCT}/en.html")
PROBE = """<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre><script>
const loaded = (frame, act) => new Promise(done => { frame.onload = done; act(); });
async function look(path, width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = "border:0;height:900px;width:" + width + "px";
  await loaded(frame, () => { frame.src = path; document.body.append(frame); });
  const page = frame.contentDocument, facts = {
    path, width, lang: page.documentElement.lang, title: page.title,
    h1: page.querySelector("h1").textContent, headings: Array.from(page.querySelectorAll("h2"), h => h.textContent),
    scroll: page.documentElement.scrollWidth,
    unseen: Array.from(page.querySelectorAll("main svg")).filter(s => s.getBoundingClientRect().width > width).length,
    unnamed: Array.from(page.querySelectorAll("a, input, button")).filter(
      e => !e.textContent.trim() && !e.labels?.length && !e.getAttribute("aria-label")).length };
  const field = page.getElementById("query");
  if (field) {
    facts.found = [];
    for (const words of ["", "cohort", "牙髓炎 队列", "no such thing"]) {
      field.value = words;
      field.dispatchEvent(new frame.contentWindow.Event("input"));
      facts.found.push(page.querySelectorAll("[data-search]:not([hidden])").length);
    }
    facts.said = page.getElementById("found").textContent;
  }
  await loaded(frame, () => page.querySelector("a.lang").click());
  const other = frame.contentDocument;
  facts.after = { lang: other.documentElement.lang, h1: other.querySelector("h1").textContent };
  frame.remove();
  return facts;
}
(async () => {
  const all = [];
  for (const width of [390, 1280]) for (const path of PATHS) all.push(await look(path, width));
  document.getElementById("result").textContent = JSON.stringify(all);
})();
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    several = [release(), release(version="1.1", as_of="2023-12-01"), release("inflammation-pulpitis-cohort")]
    write_files(root, *several)
    for d in several:
        graph = dcat_ap.to_graph(d)
        (root / "products" / d.id / d.version / "entry.ttl").write_bytes(dcat_ap.to_turtle(graph))
        (root / "products" / d.id / d.version / "entry.jsonld").write_bytes(dcat_ap.to_jsonld(graph))
    site.build(root, several)
    (root / "probe.html").write_text(PROBE.replace("PATHS", json.dumps(PAGES)), encoding="utf-8")
    return root


def _chromium(profile: Path, url: str, *flags: str) -> tuple[str, list[str]]:
    """Run chromium once on a page.

    Returns:
        What it printed, and the lines of the page's console.
    """
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            f"--user-data-dir={profile}",
            *flags,
            url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.fixture(scope="module")
def probe(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, int], dict[str, Any]]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(home)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/probe.html"
        printed, console = _chromium(tmp_path_factory.mktemp("profile"), url, "--window-size=1400,1000", "--dump-dom")
    finally:
        server.shutdown()
        server.server_close()
    assert console == []
    result = re.search(r'<pre id="result">(.*?)</pre>', printed, re.DOTALL)
    assert result
    assert result[1], "the probe did not finish"
    yield {(facts["path"], facts["width"]): facts for facts in json.loads(html.unescape(result[1]))}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", PAGES)
def test_page_fits_its_screen(probe: dict[tuple[str, int], dict[str, Any]], path: str, width: int) -> None:
    facts = probe[path, width]
    assert facts["scroll"] <= width
    assert facts["unseen"] == 0
    assert facts["unnamed"] == 0


@pytest.mark.parametrize("path", PAGES)
def test_headings_and_the_way_to_the_other_language(probe: dict[tuple[str, int], dict[str, Any]], path: str) -> None:
    facts = probe[path, 390]
    chinese = path.endswith("index.html")
    assert facts["lang"] == ("zh-CN" if chinese else "en")
    assert facts["after"]["lang"] == ("en" if chinese else "zh-CN")
    names = {
        "catalog": ("医疗数据产品目录", "Medical data product catalogue"),
        PRODUCT: ("炎症与牙髓炎关联分析报告", "Analysis Report on the Association between Inflammation and Pulpitis"),
    }[path.rpartition("/")[0]]
    assert (facts["h1"], facts["after"]["h1"]) == (names if chinese else names[::-1])
    if path.startswith(PRODUCT) and chinese:
        wanted = {
            "主要结果",
            "数据质量",
            "重识别风险",
            "定价测算",
            "如何获取",
            "数据字典",
            "数据来龙去脉",
            "版本历史",
            "签署",
            "文件",
        }
        assert wanted <= set(facts["headings"])


def test_search_finds_by_words_of_both_languages(probe: dict[tuple[str, int], dict[str, Any]]) -> None:
    facts = probe["catalog/index.html", 1280]
    assert facts["found"] == [2, 1, 1, 0]
    assert facts["said"] == "没有符合的产品"


def test_site_works_from_a_folder(home: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    flags = ("--window-size=1280,1600", f"--screenshot={picture}")
    _, console = _chromium(tmp_path / "a", (home / PRODUCT / "index.html").as_uri(), *flags)
    assert console == []
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture.stat().st_size > 50_000, "the page is all but empty"
    printed, console = _chromium(tmp_path / "b", (home / "catalog/index.html").as_uri(), "--dump-dom")
    assert console == []
    assert "2 个产品" in printed
