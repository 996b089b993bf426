"""Floor 0: records, protocols, errors and digests that every other floor speaks in."""
