"""Alerts: one line in a file, and a webhook where one is configured. Their texts come guarded."""

from __future__ import annotations

import http.client
import json
import os
import urllib.request
from collections.abc import Mapping

from meddata_pipeline.app.workplace import Workplace

_TIMEOUT_SECONDS = 10


def send(workplace: Workplace, *, run_id: str, job: str, partitions: Mapping[str, str], text: str) -> None:
    """Append an alert to <home>/alerts.jsonl and post it to MEDDATA_ALERT_WEBHOOK, if that is set.

    A webhook that cannot be reached is noted in the file: an alert must not fail the sensor that sends it.
    """
    alert: dict[str, object] = {"run_id": run_id, "job": job, "partitions": dict(partitions), "text": text}
    webhook = os.environ.get("MEDDATA_ALERT_WEBHOOK", "")
    if webhook.startswith(("http://", "https://")):
        body = json.dumps(alert, ensure_ascii=False).encode()
        try:
            request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
                webhook, data=body, headers={"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
                alert["webhook"] = "delivered"
        except (OSError, ValueError, http.client.HTTPException) as error:
            # Unreachable, a malformed address, or an answer that is not HTTP.
            alert["webhook"] = f"not delivered: {type(error).__name__}"
    path = workplace.home / "alerts.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(alert, ensure_ascii=False, sort_keys=True) + "\n")
