"""How fast this machine is with hitofude: pairs of ways to do the same, measured in turn in one process."""
