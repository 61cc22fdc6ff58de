"""From feature sets to a feature set: join, fit, fuse, commit."""
