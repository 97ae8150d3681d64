"""Settings of one installation: the home folder, the configuration folders, the language of messages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from meddata_pipeline.core.config import Config

ZONES = (
    "records",
    "identities",
    "deid",
    "cohort",
    "candidate",
    "quarantine",
    "quality",
    "review",
    "optout",
    "keys",
    "tmp",
    "errors",
)


@dataclass(frozen=True)
class Settings:
    """Where this installation lives.

    Attributes:
        home: the home folder (MEDDATA_HOME).
        config_dir: an extra configuration folder (``--config``), above the home's own.
        lang: language of messages, zh or en.
        demo_seed: seed of the demo keys, or None for real keys. Demo keys are NOT FOR REAL DATA.
    """

    home: Path
    config_dir: Path | None = None
    lang: str = "en"
    demo_seed: int | None = None

    @classmethod
    def from_env(
        cls,
        home: Path | None = None,
        config_dir: Path | None = None,
        lang: str | None = None,
        demo_seed: int | None = None,
    ) -> Settings:
        """Settings from arguments, else from MEDDATA_HOME, MEDDATA_CONFIG, MEDDATA_LANG, MEDDATA_DEMO_SEED."""
        if config_dir is None and os.environ.get("MEDDATA_CONFIG"):
            config_dir = Path(os.environ["MEDDATA_CONFIG"])
        if demo_seed is None and os.environ.get("MEDDATA_DEMO_SEED"):
            demo_seed = int(os.environ["MEDDATA_DEMO_SEED"])
        root = home or Path(os.environ.get("MEDDATA_HOME") or ".meddata")
        return cls(
            home=root.absolute(),
            config_dir=config_dir.absolute() if config_dir else None,
            lang=lang or os.environ.get("MEDDATA_LANG") or "en",
            demo_seed=demo_seed,
        )

    @property
    def restricted(self) -> Path:
        """The restricted zone: still personal data, encrypted, mode 0700."""
        return self.home / "restricted"

    def zone(self, name: str) -> Path:
        """A folder of the restricted zone."""
        if name not in ZONES:
            raise KeyError(name)
        return self.restricted / name

    @property
    def config(self) -> Config:
        """The configuration: package data, the home's own folder, ``--config``."""
        dirs = [self.home / "config"]
        if self.config_dir:
            dirs.append(self.config_dir)
        return Config(dirs)
