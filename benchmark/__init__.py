"""Speed and memory of the library, with the results kept as files."""
