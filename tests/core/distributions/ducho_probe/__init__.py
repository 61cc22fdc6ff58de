"""An extractor for tests that misbehaves on request."""
