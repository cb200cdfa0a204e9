"""Normalisation for free at inference: norms vanish from a network before it is converted, and it computes the same.

A norm behind a convolution goes into its kernel and bias. In a pre-activation network (He et al. 2016, arXiv:1603.05027)
there is none to go into: every unit begins with `relu(a * x + c)` on the trunk. But where a > 0 that is `a * relu(x + c/a)`.
The factor goes into the next convolution, and the shift rides on the trunk: let it carry z = x + c/a of its next reader, and
the unit begins with a bare ReLU; by how much the shift changes from unit to unit goes into the bias of the branch's last
convolution.

`values` are the forms in which the folded network carries what the original computes, `preferences` the forms in which their
readers would like them, `rules` what each kind of layer does with them, `folding` puts a network through them.
"""
