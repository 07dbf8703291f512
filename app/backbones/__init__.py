"""Backbones: the frozen CLIPs that can be adapted."""
