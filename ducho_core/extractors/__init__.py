"""The built-in extractors, registered as any plugin's are."""
