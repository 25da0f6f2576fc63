"""What other packages build on: the entry points of their plug-ins, and how a public name goes away."""
