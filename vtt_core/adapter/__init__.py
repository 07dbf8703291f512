"""The stripped adapter: its files, how it is made and verified, and how it classifies."""
