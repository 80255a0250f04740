"""Bounds of the institution: its documents, their text in prompts, and the gate every reply passes."""
