"""meddata-pipeline: from raw hospital extracts to data products a hospital can sell without giving a patient away."""

__version__ = "0.1.0"
