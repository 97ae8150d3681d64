"""Assets by layer. Bodies are thin: call the step in app/, describe its outcome."""
