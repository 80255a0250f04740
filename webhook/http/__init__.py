"""Cross-cutting HTTP: access, limits, documentation."""
