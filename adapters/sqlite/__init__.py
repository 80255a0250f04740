"""SQLite: the store and the inbox of the embedded engine."""
