"""Types that every package shares: errors, texts, table specifications, settings, configuration."""
