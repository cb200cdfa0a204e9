"""Seeded mutations of any file, of archives also inside of their members."""

import zipfile

import numpy as np
from life.weight_files import members_of, write_members


def seed_of(rng):
    return int(rng.integers(2**31))


def mutated(data, seed):
    """Bytes with one to three of: flipped bits, a cut, an insertion, zeros, two pieces in the other order."""
    rng = np.random.default_rng(seed)
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = max(len(data), 1)
        # Half of all places are at the ends, where formats say what they are.
        place = (
            int(rng.integers(size)) if rng.random() < 0.5 else int(rng.integers(min(size, 512))) * rng.choice((1, -1)) % size
        )
        length = int(min(rng.integers(1, 64), size - place))
        piece = bytes(data[place : place + length])
        kind = rng.integers(6)
        if kind == 0 and data:
            data[place] ^= 1 << rng.integers(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            data[place:place] = rng.bytes(length)
        elif kind == 3:
            data[place : place + length] = bytes(length)
        elif kind == 4:
            other = int(rng.integers(size))
            data[place : place + length] = data[other : other + length]
            data[other : other + length] = piece
        else:
            data[place : place + length] = rng.bytes(length)
    return bytes(data)


def mutate_file(path, seed):
    """Mutates a file: its bytes or, half the time for an archive, one member under a right checksum or the members' names."""
    rng = np.random.default_rng(seed)
    if not zipfile.is_zipfile(path) or rng.random() < 0.5:
        path.write_bytes(mutated(path.read_bytes(), seed))
        return
    members = members_of(path)
    names = list(members)
    name = names[rng.integers(len(names))]
    if rng.random() < 0.2:
        other = names[rng.integers(len(names))]
        members[name], members[other] = members[other], members[name]
    elif rng.random() < 0.2:
        del members[name]
    elif name.endswith(".json"):
        from life.records import mutated_json

        members[name] = mutated_json(members[name].decode(), seed).encode()
    else:
        members[name] = mutated(members[name], seed)
    write_members(path, members)
