"""Files of tensors, opened once and without running what they hold. Importing this costs no torch.

    checkpoint = Checkpoint.of(path)            # a path, or the Checkpoint that the core already has
    checkpoint.kind                             # Kind.SAFETENSORS, Kind.TORCH, Kind.PICKLE, Kind.ONNX, Kind.FOLDER, …
    checkpoint.has_all("conv1.weight", "conv1.bias")     # under any prefix; False for a file that cannot be read
    checkpoint.tensors                          # every tensor by its dotted name, each a LazyTensor: shape and dtype
    checkpoint.tensors["conv1.weight"].load()   # its numbers, a torch.Tensor
    state = checkpoint.state_dict("conv1.weight", "conv1.bias")   # the copy that holds these, its prefix taken off
    state.key, state.choice                     # "g_ema", "g_ema, averaged weights; also there: g"
    state.notes                                 # the choice as sentences, for `Generator.notes`: said before a walk
    state.load()                                # dict[str, torch.Tensor]
    checkpoint.tree                             # dictionaries, numbers, words, `LazyTensor`s, inert `Record`s
    checkpoint.metadata                         # of safetensors, words by words
    checkpoint.members                          # of an archive: its contents by name, checked, in bounds
    checkpoint.data                             # the bytes of any file, a memoryview of the file itself
    checkpoint.inside("config.json")            # a file of a folder, as a Checkpoint; None where there is none
    checkpoint.json()                           # what a JSON file holds, bounded
    checkpoint.words, checkpoint.trouble        # what it is and holds; why its tensors cannot be read, or ""
    checkpoint.sha256                           # computed once; the recipe's provenance takes it from here

A plugin's hook takes it as ``eigenwalk_open(path, checkpoint)``; the factory of such a plugin gets it as its ``path=``
and begins with ``Checkpoint.of(path)``. `Checkpoint` stands wherever a path does: ``open(checkpoint)``,
``Path(checkpoint)``, ``str(checkpoint)``. A hook that knows the file and cannot open it raises FileError, and people
read that instead of "not recognised".

One policy holds for all files. Pickles are read by a machine of ours (`machine`) that calls nothing: what it knows
(`known`) becomes data, and every other name becomes a `Record`. Only regular files and folders are opened. What a file
claims is checked against the bytes that it has before anything is made of it.
"""

from eigenwalk.checkpoint.checkpoint import Checkpoint, sharing
from eigenwalk.checkpoint.kinds import Kind
from eigenwalk.checkpoint.lazy import LazyTensor
from eigenwalk.checkpoint.machine import Record, shown
from eigenwalk.checkpoint.selection import StateDict
from eigenwalk.checkpoint.states import fill, into, state_dict

__all__ = ["Checkpoint", "Kind", "LazyTensor", "Record", "StateDict", "fill", "into", "sharing", "shown", "state_dict"]
