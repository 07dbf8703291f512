"""Check labels and the prompts that they make, without torch."""
