"""Files on this machine and in object stores: reading, atomic writing, caching, retries."""
