"""Pre-train the bundled backbone `mini`, and measure it for its model card."""
