"""HTML pages: the one Jinja environment, the base page and the filters that every page of the project uses.

Belongs here: how a page is put together (escaping, language, inlined figures, content security policy).
Does not belong here: what a page says (templates and texts of the packages that write pages), figures (render/svg.py).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

LANGUAGES = ("zh", "en")
HTML_LANG = {"zh": "zh-CN", "en": "en"}
DASH = "–"

_PROLOG = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_ACTIVE = re.compile(
    r"<\s*(script|foreignObject|iframe|object|embed|animate|set)\b|<[^>]*\son\w+\s*=|javascript:", re.IGNORECASE
)
_ID = re.compile(r"""(\sid=["'])([^"']+)""")
_HREF = re.compile(r"""((?:xlink:)?href=["']#)([^"']+)""")
_URL = re.compile(r"(url\(#)([^)]+)")
_LABELS = re.compile(r"""(\saria-(?:labelledby|describedby)=["'])([^"']+)""")


def inline_svg(svg: str, prefix: str = "") -> Markup:
    """Prepare an SVG document for being part of an HTML page.

    XML prolog, doctype, comments and metadata go; every id gets a prefix, because two figures of one page must not
    share clip paths or markers.

    Args:
        svg: An SVG document written by this project.
        prefix: Put before every id, and before every reference to one.

    Returns:
        Markup that templates may output as it is.

    Raises:
        ValueError: The drawing holds script, event handlers or foreign content.
    """
    text = _PROLOG.sub("", svg).strip()
    if not text.startswith("<svg"):
        raise ValueError("not an SVG drawing: the text does not start with <svg")
    if _ACTIVE.search(text):
        raise ValueError("the SVG drawing holds active content and can't be put into a page")
    if prefix:
        tag = prefix + "-"
        text = _ID.sub(rf"\g<1>{tag}\g<2>", text)
        text = _HREF.sub(rf"\g<1>{tag}\g<2>", text)
        text = _URL.sub(rf"\g<1>{tag}\g<2>", text)
        text = _LABELS.sub(lambda m: m[1] + " ".join(tag + name for name in m[2].split()), text)
    return Markup(text)  # noqa: S704 - the drawing is our own and was checked for active content


def in_language(value: Any, lang: str) -> str:
    """The text of a bilingual value in one language.

    Args:
        value: A plain string, a mapping with `zh` and `en`, or an object with a `get(lang)` method (core.text.Text).
        lang: `zh` or `en`.

    Returns:
        The text; a language that is missing or empty falls back to the other one.
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        other = "en" if lang == "zh" else "zh"
        return str(value.get(lang) or value.get(other) or "")
    if hasattr(value, "get"):
        return str(value.get(lang))
    return str(value)


def number(value: float | str | None, digits: int | None = None) -> str:
    """A number with thousands separators; text (such as `<10`) passes, nothing becomes a dash.

    Args:
        value: The number; half is rounded up on its decimal spelling.
        digits: Decimal places; None keeps an integer whole and a float as it is spelled.
    """
    if value is None or value == "":
        return DASH
    if isinstance(value, str):
        return value
    exact = Decimal(str(value))
    if not exact.is_finite():
        return "∞" if exact > 0 else DASH
    if digits is not None:
        exact = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{exact:,f}".replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 as per cent, or a dash."""
    return DASH if share is None else number(float(Decimal(str(share)) * 100), digits) + " %"


def yuan(fen: int | None, digits: int = 0) -> str:
    """An amount in fen as yuan with its sign, or a dash."""
    return DASH if fen is None else "¥" + number(float(Decimal(int(fen)) / 100), digits)


def byte_size(count: int | None) -> str:
    """A file size in B, kB or MB (powers of 1,000), or a dash."""
    if count is None:
        return DASH
    if count < 1000:
        return f"{count} B"
    return f"{number(count / 1e3, 1)} kB" if count < 1e6 else f"{number(count / 1e6, 1)} MB"


@pass_context
def _t(context: Context, value: Any) -> str:
    return in_language(value, str(context["lang"]))


def environment(package: str) -> Environment:
    """The Jinja environment of one package.

    Templates are found in the package's own `templates/` folder first, then in render/templates (base.html). Autoescape
    is on, an undefined name is an error, and these filters exist: `t` (bilingual value in the page's language), `num`,
    `pct`, `yuan` (fen in), `bytes`, `svg` (see inline_svg).

    Args:
        package: Import name, such as `meddata_pipeline.catalog`.
    """
    own = package.rpartition(".")[2] == "render"
    loaders = [PackageLoader("meddata_pipeline.render", "templates")]
    if not own:
        loaders.insert(0, PackageLoader(package, "templates"))
    env = Environment(  # nosec B701 - autoescape is on
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    env.filters.update(t=_t, num=number, pct=percent, yuan=yuan, bytes=byte_size, svg=inline_svg)
    return env


def page(env: Environment, template: str, **ctx: Any) -> str:
    """Render one page.

    Args:
        env: From `environment`.
        template: Name of a template that extends base.html.
        **ctx: Names for the template. `lang` is required. `script` (optional) is the text of the page's only script;
            the page's content security policy then allows exactly that text and nothing else. `translation` (optional)
            is the relative link to the same page in the other language.

    Returns:
        The HTML text, without a byte that depends on when or where it was made.
    """
    lang = str(ctx["lang"])
    if lang not in LANGUAGES:
        raise ValueError(f"pages are written in {' and '.join(LANGUAGES)}")
    script = str(ctx.pop("script", "") or "").strip()
    source = "'none'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        source = f"'sha256-{digest}'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; script-src {source}"
    ctx.setdefault("translation", None)
    base = {"html_lang": HTML_LANG[lang], "policy": policy, "script": Markup(script)}  # noqa: S704 - a constant of ours
    return env.get_template(template).render(**base, **ctx).rstrip() + "\n"
