"""Quality evaluations: reports, attestations, the gate."""
