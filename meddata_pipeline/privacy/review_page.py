"""The page on which two people read released notes and mark what identifies somebody.

What belongs here: putting notes on the page. What does not: choosing them and taking the answers (app/leak_sample.py).
The page is one file without any reference to another; its security policy allows it to load nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from meddata_pipeline.render.html import environment, page
from meddata_pipeline.render.texts import load_texts

#: Form of the answers that the page saves.
ANSWERS_FORMAT = "meddata-review/1"
_PACKAGE = "meddata_pipeline.privacy"


def review_page(lang: str, sample: str, texts: Sequence[str], placed: Sequence[Sequence[tuple[int, int]]]) -> str:
    """The page of one sample.

    Args:
        lang: language in which it opens, ``zh`` or ``en``; a button changes it.
        sample: digest of the sample, which the answers carry.
        texts: notes as a release would show them.
        placed: for each note the spans (code points, half-open) that stand in place of an identifier; they are shaded.

    Returns:
        HTML, self-contained; it holds the notes and belongs into the restricted zone.
    """
    words = load_texts(_PACKAGE, "review_texts.yaml")
    data: dict[str, Any] = {
        "format": ANSWERS_FORMAT,
        "sample": sample,
        "lang": lang,
        "texts": words,
        "notes": [{"text": t, "placed": [list(s) for s in p]} for t, p in zip(texts, placed, strict=True)],
    }
    script = resources.files(_PACKAGE).joinpath("templates", "review_sample.js").read_text(encoding="utf-8")
    return page(
        environment(_PACKAGE),
        "review_sample.html",
        lang=lang,
        tx=words[lang],
        sample=sample,
        data=data,
        script=script,
    )
