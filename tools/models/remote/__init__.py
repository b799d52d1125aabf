"""Models in a process or on a machine of their own: the protocol, both its ends, and what may leave where."""
