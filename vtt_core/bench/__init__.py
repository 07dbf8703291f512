"""Measure the method and the service; nothing that serves imports this."""
