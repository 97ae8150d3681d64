"""Where bytes lie: atomic files, keys, the encrypted lake, in-memory queries, the ledger. Nothing here knows what a table means."""
