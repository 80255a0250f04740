"""Replies: composition for a channel, markup, the judge, and text shown while it forms."""
