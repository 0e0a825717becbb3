"""Compiled loops over plain arrays: they know no layers, no configurations and no files.

Shapes used throughout: ``M`` samples of a micro-batch, ``T`` steps, ``N`` neurons of the layer, ``F`` inputs of the
layer. Buckets (rows) are sample-major: row ``b * T + t``. Weights lie in memory as ``[F, N]``, one contiguous row
per input, so that an event adds one row.
"""
