"""The compiler of the hot loops, and where it keeps what it compiled.

What belongs here: one decorator for every compiled function of tabular/. What does not: the functions themselves.

Compiled code is kept between runs, or each process would compile for seconds. numba keeps it beside the source file,
or in the user's cache; a service account often may write to neither, so the first of these that can be written is
taken: ``NUMBA_CACHE_DIR`` if it is set, the package's own ``__pycache__``, ``$XDG_CACHE_HOME/meddata/numba`` (by
default ``~/.cache/meddata/numba``), and as the last a folder of this user alone (0700) in the temporary directory.
Cached code is executed, so a folder that another user owns is never taken. It holds no data of any table.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def _usable(folder: Path) -> bool:
    """Whether this user, and nobody else, may write there; makes the folder if need be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError:
        return False
    own = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
    return own and not facts.st_mode & stat.S_IWOTH and os.access(folder, os.W_OK | os.X_OK)


def cache_folder() -> Path | None:
    """The folder for compiled code; None where numba's own choice stands (it is set, or the package is writable)."""
    if os.environ.get("NUMBA_CACHE_DIR") or _usable(Path(__file__).parent / "__pycache__"):
        return None
    user = os.getuid() if hasattr(os, "getuid") else "user"
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    for folder in (base / "meddata" / "numba", Path(tempfile.gettempdir()) / f"meddata-numba-{user}"):
        if _usable(folder):
            return folder
    return None


def _set_cache_folder() -> None:
    folder = cache_folder()
    if folder is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


_set_cache_folder()  # before numba is imported: it reads the variable once

from numba import njit  # noqa: E402


def compiled(function: F) -> F:
    """Compile a function on its first call and keep the code; it runs without the interpreter's lock."""
    made: Any = njit(cache=True, nogil=True)(function)
    return cast(F, made)
