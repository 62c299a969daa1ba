"""What there is to write: documentation and JSON Schema of the language, and the zoo as tables, from the signatures themselves."""
