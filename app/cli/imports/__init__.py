"""Commands that take in images from other services, one file per service."""
