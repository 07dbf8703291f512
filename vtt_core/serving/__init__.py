"""Many adapters on one backbone."""
