"""What VtT is stacked on: the tensors that are fine-tuned beside a frozen backbone."""
