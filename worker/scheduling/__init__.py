"""Scheduling: which conversation a process begins, and when."""
