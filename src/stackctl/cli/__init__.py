"""The command line: the only reader of argv, environment and clock, and the only printer."""
