"""Detection of identifiers in texts: recognizers, what is known beforehand, merging, on Presidio's analyzer.

What belongs here: from texts to spans. What does not: replacing (privacy/text.py), columns (privacy/columns.py).
"""

from __future__ import annotations

from meddata_pipeline.privacy.detect.engine import PLACEHOLDER, Detector, Findings, build_analyzer, language_of
from meddata_pipeline.privacy.detect.types import ENTITIES, Known, Span

__all__ = ["ENTITIES", "PLACEHOLDER", "Detector", "Findings", "Known", "Span", "build_analyzer", "language_of"]
