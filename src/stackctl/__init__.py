"""Dev stacks on Docker: rendered, bounded, watched, and cleaned up after a crash."""

__version__ = "0.1.0"
