"""Adapters in the formats of other libraries, compared with our own answers before they get their name."""
