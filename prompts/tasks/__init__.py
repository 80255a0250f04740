"""Prompt tasks and the schemas of their answers."""
