"""State machine of a conversation. Pure: no I/O, no clock, no settings."""
