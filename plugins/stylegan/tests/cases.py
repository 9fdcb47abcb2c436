"""What the conformance kit checks of this package: small networks in the layouts of three formats."""

from __future__ import annotations

from functools import partial

import r3gan_files
import stylegan_files

from eigenwalk.testing import Case

ADA = partial(stylegan_files.write, "ada-16", contrast=0.2)
ROSINALITY = partial(stylegan_files.write, "ros-8", contrast=0.2)
STYLEGAN3 = partial(stylegan_files.write, "sg3-t-16", contrast=0.2)
R3GAN = partial(r3gan_files.write, "r3gan-16-labels", contrast=0.3)
CASES = [
    Case('stylegan("{folder}/ada-16.pkl")', prepare=ADA, kind="generator"),
    Case('stylegan("{folder}/ada-16.pkl", space="w+", layers="2-4", truncation=0.7)', prepare=ADA, kind="generator"),
    Case('stylegan("{folder}/ros-8.pt", space=s)', prepare=ROSINALITY, kind="generator"),
    Case('stylegan("{folder}/sg3-t-16.pkl", space=w)', prepare=STYLEGAN3, kind="generator"),
    Case('r3gan("{folder}/r3gan-16-labels.pkl", label=1)', prepare=R3GAN, kind="generator"),
]
