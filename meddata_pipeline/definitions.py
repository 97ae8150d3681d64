"""What `dagster dev`, `dg dev` and the code server load. Everything is built in orchestration/build.py."""

from __future__ import annotations

from meddata_pipeline.orchestration.build import build_defs

defs = build_defs()
