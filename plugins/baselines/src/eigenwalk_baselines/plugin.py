"""What this package offers; no torch here."""

from __future__ import annotations

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec, DirectionSpec, Option

SEED = 1_000_000
"""Of the samples that a method learns from; a walk is unlikely to start from one of them."""
_SEED = Option("seed", "int", SEED, "of the samples")


@hookimpl
def eigenwalk_directions() -> list[DirectionSpec]:
    return [
        DirectionSpec(
            "ganspace",
            "eigenwalk_baselines.ganspace:GANSpace",
            "principal components of w, or of the first layer's activations, the same for all images",
            (
                Option("components", "int", 80, "principal components that are computed"),
                Option("samples", "int", 10_000, "latents that they are computed from; the paper took 1,000,000"),
                _SEED,
            ),
            cites=("Härkönen, Hertzmann, Lehtinen, Paris: GANSpace, NeurIPS 2020, arXiv 2004.02546",),
            api=1,
        ),
        DirectionSpec(
            "sefa",
            "eigenwalk_baselines.sefa:SeFa",
            "eigenvectors of the weights that read the latent, the same for all images",
            (
                Option("layers", "str", None, 'of those that read the latent, such as "0-1" or "0-3,8"; all of them'),
                Option("normalised", "bool", False, "every row of the weights of unit length, as in the authors' code"),
            ),
            cites=("Shen, Zhou: Closed-form factorization of latent semantics in GANs, CVPR 2021, arXiv 2007.06600",),
            api=1,
        ),
        DirectionSpec(
            "interfacegan",
            "eigenwalk_baselines.interfacegan:InterFaceGAN",
            "normal of the hyperplane between low and high values of a number, orthogonal to those of fixed numbers",
            (
                Option("samples", "int", 10_000, "latents whose images are measured; the paper took 500,000"),
                Option(
                    "share", "float", 0.1, "of the samples, at the top and as many at the bottom; the paper took 0.02"
                ),
                _SEED,
            ),
            cites=("Shen, Gu, Tang, Zhou: InterFaceGAN, CVPR 2020, arXiv 1907.10786",),
            api=1,
        ),
        DirectionSpec(
            "lowrankgan",
            "eigenwalk_baselines.lowrankgan:LowRankGAN",
            "principal space of what varies, projected on the null space of what is fixed, by low-rank Jacobians",
            (
                Option("sparsity", "float", 60.0, "1/λ, λ the weight of the sparse part"),
                Option("relax", "int", 0, "singular values of what is fixed that are taken for zero"),
                Option("iterations", "int", 10_000, "of the low-rank factorisation, at most"),
            ),
            cites=("Zhu, Feng, Shen, Zhao, Zha, Zhou, Chen: LowRankGAN, NeurIPS 2021, arXiv 2106.04488",),
            api=1,
        ),
        DirectionSpec(
            "resefa",
            "eigenwalk_baselines.resefa:ReSeFa",
            "largest generalized Rayleigh quotients of what varies over what is fixed, at the start",
            (Option("tau", "float", 1e-3, "share of the trace of what is fixed that is added to its diagonal"),),
            cites=("Zhu, Shen, Xu, Zhao, Chen: ReSeFa, ICML 2022, arXiv 2202.09649",),
            api=1,
        ),
        DirectionSpec(
            "localbasis",
            "eigenwalk_baselines.localbasis:LocalBasis",
            "singular vectors of the mapping network's Jacobian, or of the image's, followed along a curve",
            cites=("Choi, Lee, Yoon, Park, Hwang, Kang: Local Basis, ICLR 2022, arXiv 2106.06959",),
            api=1,
        ),
        DirectionSpec(
            "distilled",
            "eigenwalk_baselines.distilled:Distilled",
            "directions of a file, the same for all images: what eigenwalk distil makes of a run of many seeds",
            (Option("file", "path", summary="that eigenwalk distil wrote", required=True),),
            api=1,
        ),
        DirectionSpec(
            "random",
            "eigenwalk_baselines.random:Random",
            "random directions, the same for all images: what any method must beat",
            (Option("seed", "int", 0, "of the directions"),),
            api=1,
        ),
    ]


@hookimpl
def eigenwalk_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            "distil",
            "eigenwalk_baselines.command:distil",
            "Average the paths of a run into directions for other images.",
        )
    ]
