"""What was written: text with positions, YAML trees, diagnostics. Knows nothing of networks."""
