"""Diagnostics of a backbone before and after fine-tuning: lost text layers."""
