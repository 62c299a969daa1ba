"""What layers and arguments are called in other frameworks, and what to write here instead: data, and how a hint is made of it."""
