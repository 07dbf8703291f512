"""Fine-tune: read step.py beside the paper."""
