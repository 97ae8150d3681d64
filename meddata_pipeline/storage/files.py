"""Atomic and private files: the only way in which the project writes to disk.

What belongs here: writes that a killed process cannot leave half done. What does not: formats.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644


def ensure_private_dir(path: Path) -> Path:
    """Create a folder (and its parents) and close it to everybody else."""
    path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIR)
    if path.stat().st_mode & 0o077:
        path.chmod(PRIVATE_DIR)
    return path


def _temporary(path: Path, data: bytes | Iterable[bytes], mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines([data] if isinstance(data, bytes) else data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
    except BaseException:  # Ctrl-C too must not leave half a file behind; it is raised again
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def write_atomic(path: Path, data: bytes | Iterable[bytes], mode: int = PRIVATE_FILE) -> None:
    """Write a whole file or nothing: temporary file beside it, fsync, rename.

    Args:
        path: of the file.
        data: all of it, or its parts in order; parts are written as they come, so no one need hold them all.
        mode: permissions.
    """
    temporary = _temporary(path, data, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def create_if_absent(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> bool:
    """Create a file with this content in one step, unless it exists.

    Returns:
        True if this call created it; False if it was there, in which case nothing changed.
    """
    temporary = _temporary(path, data, mode)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def clear_dir(path: Path) -> Path:
    """Empty a private folder, creating it where it is absent."""
    if path.exists():
        shutil.rmtree(path)
    return ensure_private_dir(path)


@contextmanager
def replaced_dir(path: Path) -> Iterator[Path]:
    """An empty private folder beside another one that takes its place as a whole when the block ends well.

    Args:
        path: the folder to replace; it need not exist. What a killed process left beside it is removed.
    """
    ensure_private_dir(path.parent)
    new, old = (path.with_name(f".{path.name}.{suffix}") for suffix in ("part", "old"))
    yield clear_dir(new)
    if old.exists():
        shutil.rmtree(old)
    if path.exists():
        path.replace(old)
    new.replace(path)
    if old.exists():
        shutil.rmtree(old)
