"""The only door to docker and to its cgroups."""
