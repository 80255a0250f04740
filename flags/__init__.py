"""Who gets which variant: flags, experiments, and what came of them."""
