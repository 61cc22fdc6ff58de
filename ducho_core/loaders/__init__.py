"""The built-in loaders: folders, tables and feature sets as sources."""
