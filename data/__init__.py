"""The small real data that ships with snnsim; see README.md beside this file."""
