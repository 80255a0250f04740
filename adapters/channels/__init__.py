"""Channels: one folder a platform, one line each in the registry."""
