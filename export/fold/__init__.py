"""Normalization for free at inference: the norms disappear from a network before it is converted, and it computes the same.

A norm after a convolution goes into its kernel and bias. In a pre-activation network (He et al. 2016, arXiv:1603.05027) there
is no such convolution: every unit begins with `relu(a * x + c)` on the skip path. But where a > 0 that is `a * relu(x + c/a)`.
The factor goes into the next convolution, and the shift rides on the skip path: if that carries z = x + c/a of its next reader,
the unit begins with a bare ReLU, and the change of the shift from unit to unit goes into the bias of the branch's last
convolution.

`values` has the forms in which the folded network carries what the original computes, `preferred_shift` the forms that their
readers prefer, `rules` what each kind of layer does with them, and `folding` takes a network through them.
"""
