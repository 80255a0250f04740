"""Migration between stores."""
