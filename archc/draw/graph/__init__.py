"""The diagram of layers and blocks, laid out by Graphviz."""
