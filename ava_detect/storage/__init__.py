"""Files here and at addresses: reading, atomic writing, caching, retries."""
