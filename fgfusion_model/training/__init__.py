"""Training FGFusion: the loop, its recipes, its state on disk."""
