"""Models that turn texts into vectors. Their libraries are an extra; nothing imports this that does not use it."""
