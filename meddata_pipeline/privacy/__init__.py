"""Protection of persons: finding and replacing what identifies them, in text, columns and tables."""
