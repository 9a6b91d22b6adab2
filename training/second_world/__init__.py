"""A second generator of tabletops that shares nothing with the first but the names: for testing.

Other meshes, renderer (VTK), shading, textures, cameras and sizes. Nothing that it makes may be
trained, tuned or chosen on.
"""
