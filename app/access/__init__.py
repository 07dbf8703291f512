"""Who may send which requests."""
