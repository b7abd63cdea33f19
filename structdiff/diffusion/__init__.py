"""Drawing positions by denoising. Knows a callable that denoises, never a network, and no molecule.

`preconditioning` scales a network's input and output, `schedule` lists noise levels, `solvers` step between them,
`guidance` mixes predictions, `sampler` runs the loop under constraints, `trajectory` records it.
"""
