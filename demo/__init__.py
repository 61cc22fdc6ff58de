"""A sample catalogue that is drawn here, and the README's commands run on it."""
