"""Low-rank layers on q, k and v."""
