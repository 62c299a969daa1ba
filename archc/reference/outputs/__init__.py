"""What every command's `--format json` prints: described as dataclasses, from which come the JSON Schema and docs/json.md."""
