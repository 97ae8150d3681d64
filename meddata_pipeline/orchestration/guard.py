"""The guard around every asset body: no exception text that could hold a patient's value reaches Dagster's storage.

Our own errors say what, where and the next step and are passed on. Any other exception (a library's, which may quote
the data it choked on) is written to the restricted zone, and only its type and the place are told.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import Failure, MetadataValue

from meddata_pipeline.core.errors import MeddataError, Refused
from meddata_pipeline.storage.files import ensure_private_dir, write_atomic


def _where(error: BaseException) -> str:
    """File name and line inside this package where the error passed through last."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "meddata_pipeline" in f.filename]
    if not frames:
        return "outside the package"
    last = frames[-1]
    return f"{Path(last.filename).name}, line {last.lineno}"


@contextmanager
def guarded(errors: Path) -> Iterator[None]:
    """Run a step; let only safe texts out.

    Args:
        errors: restricted folder that keeps the full text of unexpected errors.

    Raises:
        Failure: in place of any exception; refusals and bad input are not retried.
    """
    failure: Failure | None = None
    try:
        yield
    except MeddataError as error:
        reasons = [r.as_dict() for r in error.reasons] if isinstance(error, Refused) else []
        failure = Failure(str(error), metadata={"reasons": MetadataValue.json(reasons)}, allow_retries=False)
    except Failure as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the one place that must see every error, to withhold its text
        full = "".join(traceback.format_exception(error)).encode("utf-8", "replace")
        name = hashlib.sha256(full).hexdigest()[:8]
        write_atomic(ensure_private_dir(errors) / f"{name}.txt", full)
        text = f"{type(error).__name__} in {_where(error)}; the full text is in restricted/errors as #{name}"
        failure = Failure(text)
    if failure is not None:
        # From None: Dagster stores the text of a chained exception too.
        raise failure from None
