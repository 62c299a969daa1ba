"""Tables of what is known by name: initializers and devices."""
