"""Live sources in, people and their actions out, never behind: what is not computed in time is left out."""
