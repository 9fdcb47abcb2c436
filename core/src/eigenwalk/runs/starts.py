"""Starts as people have them: latents in files, as projectors and inverters write them, and waypoints of earlier runs.

    projected_w.npz                    every latent in the file is a start
    me.pt:3, latents.npy:0-3           some of them, counted from 0
    runs/hair/paths/seed0-1+.json:8    a waypoint of a path; its last one where no number is given
    found/me, found/me:1               the latents in such a folder, as `eigenwalk invert` leaves them

Files are opened as safely as checkpoints: no pickle is run, and a size is checked before memory is taken for it.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint, Kind
from eigenwalk.errors import FileError, InputError
from eigenwalk.generator import Generator
from eigenwalk.maths.problem import Region
from eigenwalk.names.files import OwnFile, sha256
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Call, Instance, Open
from eigenwalk.objects.build import Used
from eigenwalk.objects.compose import Built, build_generator
from eigenwalk.path import Path
from eigenwalk.runs.outputs.chain import is_saved_path, latent_sum
from eigenwalk.runs.recipe import Recipe
from eigenwalk.sealed import open_sealed, read_checked
from eigenwalk.textfile import read_bytes
from eigenwalk.walk.start import Start, sample_start

LARGEST = 1 << 30
"""Bytes of a file of latents, and of the numbers in it."""
NUMBERED = r"(.+?):(\d{1,9})(?:-(\d{1,9}))?"
PREFERRED = ("w_plus", "wplus", "ws", "w", "projected_w", "z", "latents", "latent", "codes", "code", "styles", "s")
"""Names under which tools save latents, the one to take first where a file holds several."""


IN_FOLDER = "latents.safetensors"
"""The file of latents that a folder stands for."""
FOUND = "found.json"
"""The sealed document beside it, where `eigenwalk invert` wrote both, with its SHA-256 under ``latents``."""
NOWHERE = 1e3
"""Times the typical distance from the mean at which a start is refused: its images would be noise or not numbers."""
SPACES = {"z", "w", "s"}
"""Names of latents that are names of spaces too."""
SPACE_OF: dict[str, str] = dict.fromkeys(("projected_w", "ws", "w_plus", "wplus"), "w")
"""The space that another name of latents tells of: w, in which those with a w for each layer are found to be w+."""
Node = Call | Open | Instance
"""A generator's tree."""


@dataclass(frozen=True)
class Latents:
    """What a file holds: numbers ``(...)``, and the name under which they stood; "" where they stood alone.

    `file` is "" for an array that Python code gives; `generator` the one that a saved path was walked in.
    """

    file: str
    values: Tensor
    key: str = ""
    first: int | None = None
    last: int | None = None
    generator: str = ""

    @property
    def shape(self) -> str:
        """The shape in words: ``(1, 18, 512)``."""
        return str(tuple(self.values.shape))

    def rows(self, generator: Generator) -> Tensor | None:
        """Return the latents ``(n, latent)``; None where the shape is not one of latents of `generator`.

        >>> from eigenwalk.generator import FunctionGenerator
        >>> in_w = FunctionGenerator(lambda w: w, 512, (8, 8), space="w")
        >>> in_w.latent_shape = (18, 512)
        >>> Latents("w.npz", torch.zeros(1, 18, 512)).rows(in_w).shape  # one w, repeated for every layer
        torch.Size([1, 512])
        """
        dim, shape = generator.latent_dim, generator.latent_shape
        values = torch.atleast_1d(self.values)
        while values.dim() > 2 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.shape[-1] == dim:
            if values.dim() < 3 and values.shape != shape:
                return values.reshape(-1, dim)
            layers = values.reshape(1 if values.dim() < 3 else len(values), -1, dim)
            if bool((layers == layers[:, :1]).all()) and (generator.space != "z" or layers.shape[1] == 1):
                return layers[:, 0]  # z has no layers
            return values if values.dim() < 3 else None
        if shape and values.dim() > 1 and values.shape[-1] != shape[-1]:
            return None  # as many numbers, and in another order
        if values.shape[-len(shape) :] == shape or (values.dim() > 1 and values[0].numel() == dim):
            return values.reshape(-1, dim) if values.numel() % dim == 0 else None
        return values.reshape(1, dim) if values.numel() == dim else None

    def starts(self, generator: Generator) -> list[Start]:
        """Return the starts that were asked for; raises InputError where there are not so many.

        `rows` must not be None.
        """
        rows = self.rows(generator)
        assert rows is not None
        first = 0 if self.first is None else self.first
        last = len(rows) - 1 if self.first is None else self.last or first
        if last >= len(rows):
            raise InputError(f"start {self.file}:{last}: the file holds {len(rows)} latents, 0 to {len(rows) - 1}")
        if not self.file:  # named by its place among all starts
            return [Start(row, i) for i, row in enumerate(rows)]
        return [Start(rows[i], i, self.file if len(rows) == 1 else f"{self.file}:{i}") for i in range(first, last + 1)]


def read_latents(text: str | Instance) -> Latents:
    """Return what ``FILE``, ``FILE:3`` or ``FILE:0-3`` holds, or an array that Python code gives.

    Raises:
        FileError: there is no such file, it is damaged, or it holds no latents; it says what it holds.
        InputError: the range ends before it begins.
    """
    if isinstance(text, Instance):
        try:
            return _checked(Latents("", torch.as_tensor(text.object).detach().cpu()))
        except TypeError as error:
            raise InputError(f"starts should hold arrays of numbers: {error}") from None
    found = None if FilePath(text).expanduser().exists() else re.fullmatch(NUMBERED, text)
    file, first, last = (found[1], int(found[2]), int(found[3] or found[2])) if found else (text, None, None)
    if first is not None and last is not None and last < first:
        raise InputError(f"start {text!r} should give a range such as {file}:0-3")
    place = _place(file)
    if is_saved_path(place):
        path = Path.load(place, hold_images=False)
        values = torch.from_numpy(path.latents)
        space = re.search(r"\bspace=[\"']?([\w+]+)", path.generator)
        first = len(values) - 1 if first is None else first
        return Latents(file, values, space[1] if space else "", first, last, path.generator)
    entries = {key: values for key, values in _entries(place).items() if values.is_floating_point()}
    key = _choose(file, entries)
    return _checked(Latents(file, entries[key], key, first, last))


def file_of(text: str) -> str:
    """Return the file that a start's `text` names, without its numbers."""
    found = re.fullmatch(NUMBERED, text)
    named = text if found is None or FilePath(text).expanduser().exists() else found[1]
    return str(FilePath(named) / IN_FOLDER) if FilePath(named).expanduser().is_dir() else named


def _place(file: str) -> FilePath:
    """Return the path of `file`, or of the latents in a folder; raises FileError where they are not those found."""
    place = FilePath(file).expanduser()
    if not (place / IN_FOLDER).is_file():
        return place
    if (place / FOUND).is_file():
        read_checked(place / IN_FOLDER, open_sealed(place / FOUND).get("latents"))
    return place / IN_FOLDER


def _checked(latents: Latents) -> Latents:
    """Return the latents as floats; raises FileError unless all are finite, in 32 bits too."""
    values, lacks = latents.values, ""
    if values.is_complex() or values.dtype == torch.bool:
        lacks = f"values of type {values.dtype}"
    elif not values.numel():
        lacks = "no numbers"
    elif not bool(values.float().isfinite().all()):
        lacks = "numbers that are not finite"
    if lacks:
        raise FileError(f"start {latents.file or latents.shape} holds {lacks}")
    return latents if values.dtype == torch.float64 else replace(latents, values=values.float())


def _choose(file: str, entries: dict[str, Tensor]) -> str:
    """Return the name of the latents among `entries`; several of one name and shape are put together under it."""
    by_word: dict[str, list[str]] = {}
    for key in entries:
        by_word.setdefault(key.rpartition(".")[2], []).append(key)
    words = [word for word in PREFERRED if word in by_word] or list(by_word)
    same = by_word[words[0]] if words else []
    if len({entries[key].shape for key in same}) != 1 or (len(words) > 1 and words[0] not in PREFERRED):
        holds = ", ".join(f"{key or 'a tensor'} {tuple(one.shape)}" for key, one in list(entries.items())[:6])
        if not holds:
            raise FileError(f"{file} holds no tensor of floats, outside of lists and arrays in pickles: {_REMEDY}")
        raise FileError(f"{file} holds {holds}: save latents alone, or under a name such as w")
    if len(same) > 1:
        entries[words[0]] = torch.cat([entries[key] if entries[key].dim() > 1 else entries[key][None] for key in same])
        return words[0]
    return same[0]


def _entries(place: FilePath) -> dict[str, Tensor]:
    """Return the tensors of a NumPy, PyTorch or safetensors file by name; one that stands alone has the name ""."""
    if place.suffix.lower() == ".npy":
        return {"": _array(read_bytes(place, "start", LARGEST), str(place))}
    if place.suffix.lower() == ".npz":
        return _archive(read_bytes(place, "start", LARGEST), str(place))
    checkpoint = Checkpoint.of(place)
    if not checkpoint.kind.holds_tensors:
        is_json = place.suffix.lower() == ".json"
        beside = f"no saved path: {place.stem}.safetensors is missing, or holds something else"
        what = beside if is_json else checkpoint.kind
        raise FileError(
            f"{place} is {what}; a start is a .npy, .npz, .pt or .safetensors file of latents, "
            "or a waypoint such as runs/hair/paths/seed0-1+.json:8"
        )
    if checkpoint.kind is Kind.FOLDER:
        raise FileError(f"{place} is a folder; name a file in it")
    wanted = {key: lazy for key, lazy in checkpoint.tensors.items() if lazy.nbytes <= LARGEST}
    return {key: lazy.load() for key, lazy in list(wanted.items())[:10_000]}


def _archive(data: bytes, name: str) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            if sum(one.file_size for one in members) > LARGEST:
                raise FileError(f"{name} would unpack to more than {LARGEST:,} bytes: it is not read")
            entries, other = {}, None
            for one in members:  # labels and settings of other kinds often stand beside the latents
                try:
                    entries[one.filename.removesuffix(".npy")] = _array(archive.read(one), f"{one.filename} in {name}")
                except _NoNumbers as error:
                    other = other or error
            if other and not entries:
                raise other
            return entries
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
    ) as error:
        raise FileError(f"{name} is damaged, or no .npz file: {error}") from None


class _NoNumbers(FileError):
    """An array of something else."""


_KINDS = {"O": "Python objects, which NumPy saves as a pickle, and none is opened", "c": "complex numbers"}
_REMEDY = "save the latents as floats, with np.save(file, np.asarray(latents, np.float32))"


def _array(data: bytes, name: str) -> Tensor:
    """Return the numbers of a .npy file's bytes, after its header was checked against them."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if dtype.kind not in "fiu":
            raise _NoNumbers(f"{name} holds {_KINDS.get(dtype.kind, f'values of type {dtype}')}: {_REMEDY}")
        if dtype.itemsize * int(np.prod(shape, dtype=object)) != len(data) - stream.tell():
            raise ValueError(f"its header says {shape} of {dtype}, which the file does not hold")
        values: NDArray[Any] = np.frombuffer(data, dtype, offset=stream.tell())
        values = values.reshape(shape, order="F" if fortran else "C").astype(np.float64 if dtype.itemsize > 4 else "f4")
    except (ValueError, OverflowError, SyntaxError) as error:
        said = str(error).partition("\n")[0]  # below it NumPy advises to trust the file
        raise FileError(f"{name} is damaged, or no .npy file of numbers: {said}") from None
    return torch.from_numpy(values)


def settle_space(
    recipe: Recipe, latents: Sequence[Latents], registry: Registry, built: Built | None = None
) -> tuple[Recipe, str]:
    """Return the resolved `recipe` with the space in which all `latents` are starts, and a word about a new one.

    A space that the generator's expression names is kept. Costs opening the generator, once for each space tried,
    unless `built` holds it. Of several spaces that fit, the one that a file names is taken; else the one in which the
    files hold the fewest latents, as (18, 512) is rather one w+ than 18 of z, unless some are asked for by number.

    Raises:
        InputError: a file's shape is that of no space of this generator, and it says what they have; or a file has
            fewer latents than are asked for.
    """
    words = {SPACE_OF.get(word, word) for word in (one.key.rpartition(".")[2] for one in latents)}
    spaces: dict[str, Generator] = {}
    fitting: dict[str, tuple[int, Node]] = {}
    for node in _in_each_space(recipe.generator):
        opened = build_generator(node, registry, built)[0]
        spaces.setdefault(opened.space, opened)
        counts = [_count(one, opened) for one in latents]
        if all(counts):
            most = max(1 if one.first is not None else count for one, count in zip(latents, counts, strict=True))
            fitting.setdefault(opened.space, (most, node))
            if opened.space in words or (not words & SPACES and most == 1):
                break
    if not fitting:
        one = next((one for one in latents if not any(_count(one, space) for space in spaces.values())), None)
        if one is None:
            holds = ", ".join(f"{one.file or 'one'} holds {one.shape}" for one in latents[:6])
            raise InputError(f"starts of one walk must be in one space, and no space has all: {holds}")
        has = " and ".join(f"{opened.latent_dim:,} in {name}" for name, opened in spaces.items())
        raise InputError(
            f"start {one.file or 'given'} holds {one.shape}, and a latent of {recipe.generator} has {has} coordinates"
        )
    space = next((name for name in fitting if name in words), min(fitting, key=lambda name: fitting[name][0]))
    node = fitting[space][1]
    for one in latents:
        one.starts(spaces[space])
    if node is recipe.generator:
        return recipe, ""
    return recipe.model_copy(update={"generator": node}), f"starts in the space {space}: the generator is {node}"


def _count(latents: Latents, generator: Generator) -> int:
    """Return how many latents of `generator` the file holds; 0 where its shape is not one of them."""
    rows = latents.rows(generator)
    return 0 if rows is None else len(rows)


def _in_each_space(generator: Node) -> Iterator[Node]:
    """Yield `generator`, and the same in each other space that it offers, unless it names one."""
    yield generator
    if isinstance(generator, Instance) or isinstance(generator.offer, OwnFile):
        return
    given = dict(generator.options)
    for option in generator.offer.spec.options:
        if option.name == "space" and "space" not in given:
            for space in option.choices:
                yield replace(generator, options=tuple(sorted({**given, "space": space}.items())))


def gather_starts(recipe: Recipe, latents: Sequence[Latents], generator: Generator) -> tuple[Start, ...]:
    """Return the starts of the recipe's seeds, and those in its files, whose `latents` were read.

    Raises:
        InputError: a latent is asked for that a file has not, or two starts are the same one.
    """
    every = enumerate(start for one in latents for start in one.starts(generator))
    given = [replace(start, number=number, given=start.given or f"latents {number}") for number, start in every]
    names = [start.given for start in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"start {twice} is given twice")
    sampled = (sample_start(generator, seed) for seed in recipe.seeds)
    return (*sampled, *given)


def starts_of(paths: Sequence[Path]) -> tuple[Start, ...]:
    """Return the starts of walked `paths`, each once."""
    first = {path.origin: path for path in reversed(paths)}.values()
    starts = [Start(torch.from_numpy(path.waypoints[0].latent), path.seed, path.given) for path in first]
    return tuple(reversed(starts))


def files_of(recipe: Recipe) -> Used:
    """Return the files of a recipe's starts, with the SHA-256 of each, for the record."""
    files: dict[str, str] = {}
    for text in (one for one in recipe.starts if isinstance(one, str)):
        latent = latent_sum(text)
        file = text if latent else file_of(text)
        files[file] = latent or sha256(FilePath(file).expanduser())
    return Used("starts", files=tuple(files.items()))


def walked_elsewhere(latents: Sequence[Latents], generator: str) -> str:
    """Say which waypoints were walked in another generator than `generator`; "" if none was."""
    names = [f"{one.file} in {one.generator}" for one in latents if one.generator not in ("", generator)]
    return f"walked in another generator, so that its picture is another here: {', '.join(names)}" if names else ""


def untypical(starts: Sequence[Start], region: Region) -> str:
    """Say which of the starts that were given lie outside the typical region; "" if none does.

    Raises:
        InputError: one is so far out that it can be no latent of this generator.
    """
    away = {one.given: float(region.away(one.latent).norm()) / region.radius for one in starts if one.given}
    for name, share in away.items():
        if share > NOWHERE:
            raise InputError(
                f"the start {name} is {share:.2g} times as far from the mean latent as samples are: it is no latent of "
                "this generator"
            )
    far = [f"{name} {share:.2g} times" for name, share in away.items() if share > 1]
    return (
        f"outside the typical region, as far from the mean latent as 99 of 100 samples: {', '.join(far)}" if far else ""
    )
