"""The networks: backbones, RoI pooling, heads, and the weights that fill them."""
