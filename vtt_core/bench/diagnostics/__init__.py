"""Look into a backbone before and after a fine-tuning: lost text layers, attention of the class token."""
