"""Models that turn texts into vectors. Their libraries are an extra; they are imported where they are used."""
