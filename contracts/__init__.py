"""Vocabulary that every package shares: messages, conversations, decisions, ports and errors."""
