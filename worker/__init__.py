"""Pending messages become a reply."""
