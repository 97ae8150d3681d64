"""Where bytes lie: atomic files, keys, the encrypted lake, queries, the ledger. No meaning of tables."""
