"""The only door to the state directory; every write is atomic."""
