"""The networks: backbones, RoI pooling, heads, and the reading and writing of their weights."""
