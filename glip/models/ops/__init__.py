"""Deformable convolution and bi-directional attention: a plain and a fast form of each."""
