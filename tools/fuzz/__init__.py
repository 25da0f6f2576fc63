"""Bad inputs for every command of ``ava-detect``, by mutation of good ones: the parts of ``tools/fuzz_inputs.py``."""
