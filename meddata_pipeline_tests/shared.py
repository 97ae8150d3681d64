"""Where the shared development data lie; tests that use them skip with a reason where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


def shared(relative: str) -> Path:
    """Path of a file or folder below the shared folder ($MEDDATA_SHARED, else ../shared); skips the test if absent."""
    base = Path(os.environ.get("MEDDATA_SHARED") or _ROOT.parent / "shared")
    path = base / relative
    if not path.exists():
        pytest.skip(f"shared data {relative} not found; set MEDDATA_SHARED to the folder that holds it")
    return path
