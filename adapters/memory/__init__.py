"""Events and cache within one process."""
