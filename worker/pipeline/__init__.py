"""From a claimed job to a published model."""
