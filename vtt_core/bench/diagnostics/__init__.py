"""Diagnostics of a backbone before, while and after it is fine-tuned: lost text layers, and the parts of VtT."""
