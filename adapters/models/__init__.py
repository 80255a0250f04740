"""Language models and the embedder."""
