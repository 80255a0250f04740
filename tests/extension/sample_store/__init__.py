"""A sample backend: messages and conversations in the memory of one process, under a name that a setting gives."""
