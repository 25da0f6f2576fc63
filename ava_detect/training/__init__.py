"""How weights are learnt: losses, schedule, loop, checkpoints."""
