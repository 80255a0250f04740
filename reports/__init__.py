"""Reports: what was spent, how turns went, and what left its band."""
