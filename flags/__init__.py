"""Feature flags and experiments: definitions, evaluation, assignment and analysis."""
