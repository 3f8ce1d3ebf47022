"""What can be added to the training loop, and the records it yields."""
