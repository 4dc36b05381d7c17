"""What should change: rollouts, scaling, deletions. Pure."""
