"""A product's contract against the one it was last published under, and two contract files against each other.

What belongs here: where the published contract lies and who is asked about it. What does not: what a change means
(quality/semver.py), what a contract says (quality/contract.py).

A release holds the contract it was published under (contract.yaml, listed with its digest in manifest.json), and never
changes; so there is no second copy that could differ from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.canonical import file_sha256
from meddata_pipeline.core.config import load_yaml
from meddata_pipeline.core.errors import ConfigError, Reason, Refused

FILE = "contract.yaml"


def published(workplace: Workplace, product: str) -> Path | None:
    """The contract of the newest published version; None where nothing is published.

    Raises:
        Refused: the file is not the one that was published.
    """
    from meddata_pipeline.exchange import release

    last = release.latest(workplace.home, product)
    if last is None:
        return None
    folder = release.product_dir(workplace.home, product) / last.version
    listed = {f["path"]: f["sha256"] for f in json.loads((folder / release.MANIFEST).read_bytes())["files"]}
    path = folder / FILE
    if not path.is_file() or file_sha256(path) != listed.get(FILE):
        detail = f"The contract of version {last.version} is not the one that was published"
        reason = Reason("release-damaged", detail, f"{product}/{last.version}/{FILE}")
        step = "Restore the version from a backup; `meddata verify` names what differs"
        raise Refused(detail, reasons=[reason], where=product, next_step=step)
    return path


def version_reasons(workplace: Workplace, product: str) -> list[Reason]:
    """Why the product's contract can't follow the published one under the number it has; empty where it can.

    Raises:
        Refused: see published.
    """
    from meddata_pipeline.quality import semver

    before = published(workplace, product)
    if before is None:
        return []
    where = f"products/{product}/{FILE}"
    return semver.version_reasons(_read(before), _read(workplace.config.find(where)), where=where)


def require_version(workplace: Workplace, product: str) -> None:
    """Refuse a candidate whose contract changed in a way that its version does not say.

    Raises:
        Refused: one reason per change.
    """
    if reasons := version_reasons(workplace, product):
        step = "Give the contract the version that the reasons name, or take the change back"
        raise Refused(
            "The contract's version does not say what changed", reasons=reasons, where=product, next_step=step
        )


def compare(old: Path, new: Path) -> dict[str, Any]:
    """The whole of ``meddata contract diff``.

    Returns:
        ``{"from", "to", "breaking", "needs": "major"|"minor"|"none", "changes": [{"code", "class", "where", "detail"}],
        "reasons"}``; reasons are what a release would be refused for.

    Raises:
        ConfigError: a file is no contract.
    """
    from meddata_pipeline.quality import semver

    before, now = _read(old), _read(new)
    changes = semver.diff(before, now)
    return {
        "from": str(before["version"]),
        "to": str(now["version"]),
        "breaking": any(change.kind == "breaking" for change in changes),
        "needs": semver.needed(changes),
        "changes": [change.as_dict() for change in changes],
        "reasons": [reason.as_dict() for reason in semver.version_reasons(before, now, where=new.name)],
    }


def _read(path: Path) -> dict[str, Any]:
    """A contract's mapping, once it is known to be a contract."""
    from meddata_pipeline.quality.semver import version_of

    raw: Any = load_yaml(path)
    if not isinstance(raw, dict) or raw.get("kind") != "DataContract":
        raise ConfigError("The file is no ODCS data contract", where=path.name)
    try:
        version_of(raw)
    except ValueError as error:
        raise ConfigError(f"{str(error)[0].upper()}{str(error)[1:]}", where=path.name) from None
    return raw
