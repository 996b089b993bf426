"""Floor 7: gearsy from Python. `run` is the main path in one call; the local web page will stand here as well."""
