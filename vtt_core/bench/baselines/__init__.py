"""Published few-shot methods that VtT is compared with, on the same episodes."""
