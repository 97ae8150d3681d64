"""PDF reports: one call from a Typst template, texts and figures to bytes that depend on nothing else.

Belongs here: fonts, fixed dates, and how data reach a template. Does not belong here: what a report says (templates and
texts of the packages that write reports), figures (render/figures.py).

A template is a ``.typ`` file in a package's ``templates`` folder. It finds its data as ``data`` (parsed JSON) and the
helpers of render/templates/report.typ; texts of the data are set as text, never read as markup. No system font, no
network and no clock is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    import typst

_BASE = "report.typ"


@cache
def _fonts() -> typst.Fonts:
    import typst
    from noto_cjk_sans_otc import FONT_PATH

    folder = str(FONT_PATH.parent)
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])


def pdf(package: str, template: str, data: Mapping[str, Any], *, lang: str, title: str, as_of: date) -> bytes:
    """Render one report.

    Args:
        package: import name of the package that owns the template, such as ``meddata_pipeline.quality``.
        template: file name in its ``templates`` folder.
        data: JSON-like; figures are SVG text of render/figures.py, shown with ``figure-of(data.…)``.
        lang: ``zh`` or ``en``.
        title: of the document, in its metadata.
        as_of: the document's date, in its metadata; the same arguments give the same bytes on every day.

    Returns:
        The PDF.
    """
    import typst

    read = [("meddata_pipeline.render", _BASE), (package, template)]
    source = "\n".join(files(p).joinpath("templates", name).read_text(encoding="utf-8") for p, name in read)
    day = {"year": as_of.year, "month": as_of.month, "day": as_of.day}
    whole = {"data": data, "lang": lang, "title": title, "day": day}
    made = typst.compile(
        source.encode(),
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"whole": json.dumps(whole, ensure_ascii=False, sort_keys=True)},
        timestamp=datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC),
        format="pdf",
    )
    if not isinstance(made, bytes):
        raise TypeError("the template gave no document")
    return made
