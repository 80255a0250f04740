"""The console: the page of a conversation, and reports."""
