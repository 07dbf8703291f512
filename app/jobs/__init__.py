"""Jobs: fine-tunings that a user watches."""
