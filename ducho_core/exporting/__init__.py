"""From feature sets to files: align, write, put in place."""
