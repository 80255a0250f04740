"""Execution of a prompt task: retries, circuit, fallback, batching, quality."""
