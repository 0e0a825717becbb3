"""What snnsim computes, once more: plain, dense, float64, written to be read.

The definitions of the network language as short loops over time steps, and their gradients by hand. Nothing here is
fast, nothing is shared with snnsim. Arrays are time-first: signals [T, B, N], logits [B, K], weights (out, in).
Networks are lists of layers as in a configuration; parameters are named ``<index>.<name>``.

    forward.py     the layers, step by step
    convolution.py convolutions and pools, tap by tap
    surrogates.py  what replaces the derivative of a spike
    backward.py    backpropagation through time
    losses.py      losses and penalties, each with its gradient
    optimizers.py  optimizers and learning-rate schedules
"""
