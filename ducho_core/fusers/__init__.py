"""The built-in fusers."""
