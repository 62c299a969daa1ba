"""How long a step takes: FLOPs and traffic of each layer, the bound of the roofline, forecasts from measurements."""
