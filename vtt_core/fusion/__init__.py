"""State-space scan over the layers of both towers."""
