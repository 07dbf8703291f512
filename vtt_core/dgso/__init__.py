"""Dynamic gradient supervised optimization."""
