"""Device profiles: what an operation costs, one YAML file each."""
