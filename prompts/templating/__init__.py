"""Prompt templates: parsing, inheritance, checks and versions."""
