"""Bad inputs for every command of ``ava-detect``, by mutation of good ones: what ``tools/fuzz_inputs.py`` is made of."""
