"""For each check of the conformance kit a plugin part that breaks its rule, and right ones."""
