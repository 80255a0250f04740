"""The `prosa` command."""
