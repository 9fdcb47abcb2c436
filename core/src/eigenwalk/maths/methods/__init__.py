"""The core's methods, one file each. They see the Jacobians C and F as operators, and know no image.

`A = CᵀC` is what varies and `B = FᵀF` what must hold; the Rayleigh quotient of ``A v = λ (B + εI) v`` weighs them.

    outward     on from what has varied, the default
    davidson    leading eigenpairs, matrix-free
    dense       leading eigenpairs from full Jacobians, the reference
    nullspace   the published rule, for comparison

    subspace, pairs, model, trade, plan: what they are built of
"""
