"""Streams to try `ava-detect live` on: long files, and a server of RTSP."""
