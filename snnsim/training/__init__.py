"""Training: the loop, its optimizers and schedules, its checkpoints."""
