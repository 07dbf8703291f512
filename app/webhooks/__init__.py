"""Webhooks: addresses that are told when a job, a model or a batch is ready."""
