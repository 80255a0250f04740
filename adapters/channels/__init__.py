"""Channels: one platform each."""
