"""`python -m archc COMMAND …`, as torchrun starts it."""

from archc.cli.main import main

raise SystemExit(main())
