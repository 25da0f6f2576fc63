"""An example of a package that adds to ava_detect without changing it."""
