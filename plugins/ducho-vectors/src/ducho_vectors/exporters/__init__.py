"""One exporter a module; each needs a library of its own."""
