"""A plugin of the tests: writes texts, and embeds them by their spelling."""
