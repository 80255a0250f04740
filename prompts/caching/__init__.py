"""Three-level answer cache: exact, template, semantic."""
