"""The demo: sample hospitals in a landing folder, real public data where they are at hand, and the lines it ends with.

What belongs here: preparing the demo. What does not: the pipeline, which knows nothing of demos but their keys.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from meddata_pipeline.core.settings import Settings
from meddata_pipeline.storage.files import write_atomic

_REAL = "data/real"
_FLAGSHIP = "inflammation-pulpitis"


def _shared() -> Path | None:
    """The folder with real public data: MEDDATA_SHARED, else ``shared`` beside the current folder's parent."""
    places = [os.environ.get("MEDDATA_SHARED"), str(Path.cwd().parent / "shared")]
    found = (Path(p) / _REAL for p in places if p)
    return next((p for p in found if p.is_dir()), None)


def prepare(
    settings: Settings, landing: Path, *, patients: int, progress: Callable[[int, int], None] | None = None
) -> bool:
    """Fill the demo's landing folder, unless it is filled already.

    Args:
        settings: of the demo's home.
        landing: folder to fill.
        patients: how many patients the three sample hospitals have together.
        progress: called with patients done and in all.

    Returns:
        Whether the real public data were at hand.
    """
    from meddata_pipeline.samples.api import generate

    if not (landing / "hospital-a").is_dir():
        # Truth holds every identifier in clear: it belongs into the restricted zone.
        generate(landing, patients=patients, truth=settings.restricted / "truth", progress=progress)
    real = _shared()
    if real is not None:
        for hospital in sorted(p for p in real.iterdir() if p.is_dir()):
            shutil.copytree(hospital, landing / hospital.name, dirs_exist_ok=True)
    return (landing / "baystate").is_dir()


def write_env(settings: Settings, landing: Path, path: Path) -> None:
    """Write the .env that `dagster dev` and `dg dev` read; a relative DAGSTER_HOME is refused by Dagster."""
    values = {
        "DAGSTER_HOME": settings.home / "dagster",
        "MEDDATA_HOME": settings.home,
        "MEDDATA_LANDING": landing,
        "MEDDATA_DEMO_SEED": settings.demo_seed,
        "DAGSTER_DISABLE_TELEMETRY": 1,
    }
    write_atomic(path, "".join(f"{k}={v}\n" for k, v in values.items()).encode())


def closing_lines(settings: Settings, products: Sequence[Mapping[str, Any]]) -> list[str]:
    """The four lines the demo ends with: catalogue, report, UI, bring your own."""
    # The report product first: it is what people come to read.
    published = sorted((p for p in products if p["report"]), key=lambda p: (p["id"] != _FLAGSHIP, p["id"]))
    shown = published[0] if published else None
    report = settings.home / shown["report"] if shown else settings.home / "products"
    return [
        f"catalogue       {settings.home / 'catalog' / 'index.html'}",
        f"report          {report}",
        "user interface  make ui    (then open the address it prints)",
        "bring your own  README.md, 'Your own hospital in 15 minutes'",
    ]
