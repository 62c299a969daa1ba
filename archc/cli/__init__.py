"""The command line: one file a command. Each compiles, calls one function, shows the result; no logic of its own."""
