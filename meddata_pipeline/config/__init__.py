"""Package data: products, hospitals, vocabularies, dagster.yaml. An operator's own folders overlay it."""
