"""Numbers by which layers tell kernels what to do, and where carried states lie."""

# Resets. A delayed reset differs only where it subtracts.
SUBTRACT, ZERO, NONE, SUBTRACT_DELAYED = 0, 1, 2, 3

# Surrogates.
FAST_SIGMOID, ATAN, SIGMOID, TRIANGLE, BOXCAR, STRAIGHT_THROUGH = 0, 1, 2, 3, 4, 5

# Rows of what neurons carry from one stretch of steps into the next.
REST, PENDING, SYNAPTIC, TRACE, FIRED = 0, 1, 2, 3, 4
CARRIED = 5

# Rows of what the way back carries into the stretch before: the gradients of membrane, current and adaptation.
CARRIED_BACK = 3
