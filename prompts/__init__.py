"""Everything said to a language model."""
