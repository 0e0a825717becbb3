"""Ready configurations, found by name: ``snnsim run digits``."""
