"""Pages: escaping, policy, inlined drawings and the spelling of numbers."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from jinja2 import ChoiceLoader, DictLoader, Environment, UndefinedError

from meddata_pipeline.core.text import Text
from meddata_pipeline.render.html import byte_size, environment, in_language, inline_svg, number, page, percent, yuan
from meddata_pipeline.render.texts import _pick


def _env(body: str) -> Environment:
    env = environment("meddata_pipeline.render")
    template = '{% extends "base.html" %}{% block title %}T{% endblock %}{% block content %}' + body + "{% endblock %}"
    assert env.loader is not None
    env.loader = ChoiceLoader([env.loader, DictLoader({"t.html": template})])
    return env


def test_values_are_escaped_and_unknown_names_are_errors() -> None:
    html = page(_env("<p>{{ name }}</p>"), "t.html", lang="zh", name="<script>alert(1)</script>")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    with pytest.raises(UndefinedError):
        page(_env("{{ missing }}"), "t.html", lang="zh")


def test_page_without_script_allows_none_and_loads_nothing() -> None:
    html = page(_env("x"), "t.html", lang="en")
    assert "script-src &#39;none&#39;" in html
    assert '<html lang="en">' in html
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)


def test_policy_names_exactly_the_script_that_the_page_holds() -> None:
    html = page(_env("x"), "t.html", lang="zh", script="if (1 < 2) { document.title = 'a&b'; }")
    held = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    allowed = re.search(r"sha256-([A-Za-z0-9+/=]+)", html)
    assert held
    assert allowed
    assert base64.b64encode(hashlib.sha256(held[1].encode()).digest()).decode() == allowed[1]


def test_two_drawings_of_one_page_share_no_ids() -> None:
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg><svg aria-labelledby="t d"><title id="t">x</title><desc id="d">y</desc>'
        '<clipPath id="c"/><g clip-path="url(#c)"/><use xlink:href="#c"/></svg>'
    )
    first, second = str(inline_svg(svg, "a")), str(inline_svg(svg, "b"))
    assert first.startswith("<svg")
    assert 'aria-labelledby="a-t a-d"' in first
    assert "url(#a-c)" in first
    assert 'xlink:href="#a-c"' in first
    ids = [set(re.findall(r' id="([^"]+)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    "svg",
    [
        "<svg><script>1</script></svg>",
        '<svg onload="x()"></svg>',
        '<svg><a href="javascript:x()"/></svg>',
        "<svg><foreignObject/></svg>",
        "<p>no drawing</p>",
    ],
)
def test_active_drawings_are_refused(svg: str) -> None:
    with pytest.raises(ValueError, match="drawing"):
        inline_svg(svg)


def test_words_that_look_like_handlers_are_no_handlers() -> None:
    assert "once = one" in inline_svg("<svg><text>once = one</text></svg>")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234567, None, "1,234,567"),
        (2.675, 2, "2.68"),
        (0.045, 2, "0.05"),
        (-1.5, 1, "−1.5"),
        (None, 2, "–"),
        ("<10", 2, "<10"),
        (float("inf"), 2, "∞"),
        (1e16, None, "10,000,000,000,000,000"),
    ],
)
def test_numbers(value: float | str | None, digits: int | None, text: str) -> None:
    assert number(value, digits) == text


def test_units() -> None:
    assert percent(0.0909, 2) == "9.09 %"
    assert percent(None) == "–"
    assert yuan(123456789) == "¥1,234,568"
    assert yuan(1, 2) == "¥0.01"
    assert (byte_size(999), byte_size(1500), byte_size(2_500_000)) == ("999 B", "1.5 kB", "2.5 MB")


def test_texts_of_every_kind_and_fallback() -> None:
    assert in_language(Text(zh="中", en="e"), "zh") == "中"
    assert in_language({"zh": "", "en": "e"}, "zh") == "e"
    assert in_language("both", "en") == "both"
    assert in_language(None, "en") == ""


def test_a_text_that_lacks_a_language_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"a\.b"):
        _pick({"a": {"b": {"zh": "只有中文"}}}, "zh", "")
