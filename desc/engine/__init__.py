"""Engine: the one training loop of all networks, on Lightning Fabric.

A `Task` has the networks, the optimizers and the losses; `Engine` trains it.
"""
