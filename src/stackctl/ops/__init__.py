"""The use cases behind the commands; engine, store and clock come in as arguments."""
