"""Experiments: plan, assignment, observation, analysis and report."""
