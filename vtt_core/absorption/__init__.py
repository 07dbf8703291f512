"""The fused vector read by the frozen text tower."""
