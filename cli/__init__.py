"""The command line of snnsim."""
