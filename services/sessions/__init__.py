"""The service of models: connected creator accounts, their sessions and the calls to their platforms."""
