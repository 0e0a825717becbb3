"""Settings of all tests."""

from hypothesis import settings

# Derandomised: the same examples on every machine, so that a failure is everyone's failure.
settings.register_profile("snnsim", deadline=None, derandomize=True, max_examples=25, database=None)
settings.load_profile("snnsim")
