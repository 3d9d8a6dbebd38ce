"""The engine: other processes that run the networks while the window stays free."""
