"""Verify, make durable, answer; and let people ask what became of a message."""
