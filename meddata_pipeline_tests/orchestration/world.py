"""What the orchestration tests share: a workplace in a temporary folder, and a few files that look like deliveries."""

from __future__ import annotations

from pathlib import Path

from meddata_pipeline.app.workplace import Workplace
from meddata_pipeline.core.settings import Settings


def workplace(root: Path) -> Workplace:
    """A home with demo keys and an empty landing folder below ``root``."""
    landing = root / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    return Workplace(Settings(home=root / "home", demo_seed=1), landing)


def deliver(place: Workplace, hospital: str, day: str, *, complete: bool, text: str = "病案号\n1\n") -> Path:
    """Put a small file, and the mark of completeness if asked, into a delivery's folder."""
    folder = place.landing / hospital / day
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.csv").write_text(text, encoding="utf-8")
    if complete:
        (folder / "_COMPLETE").touch()
    return folder


def readable(folder: Path) -> bytes:
    """Every byte below a folder but the restricted zone, in one string."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "restricted" not in p.relative_to(folder).parts)
    return b"\n".join(p.read_bytes() for p in files)
