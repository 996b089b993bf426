"""What a finished run looks like to a reader: figure, page, tables, and `result.json`. Reads `RunResult` only."""
