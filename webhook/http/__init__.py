"""Cross-cutting HTTP: rate limits, documentation."""
