"""Background analyses of whole conversations."""
