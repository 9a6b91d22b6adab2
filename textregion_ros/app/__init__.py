"""The command line, the demo, and the demo's recording."""
