"""Training: data sets, sampling of tasks, losses and the Lightning module."""
