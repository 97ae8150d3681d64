"""Two published taggers for Chinese words (BiGRU-CRF), from the weights that the packages ``lac`` and ``jieba`` hold.

What belongs here: reading the weights, checking their digest, the network as an ONNX graph, decoding. What does not:
which of the taggers' findings are names (models/chinese.py).

Neither package is imported, and neither of the frameworks that they ask for is needed: the parameters are read from
their files, and onnxruntime does the arithmetic. Nothing is downloaded.

Source:
    Z. Jiao, S. Sun, K. Sun: Chinese lexical analysis with deep Bi-GRU-CRF network, 2018 (arXiv:1807.01882).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from meddata_pipeline.core.errors import ConfigError
from meddata_pipeline.privacy.detect.models.packages import digest_of, package_folder, recipes

if TYPE_CHECKING:
    import numpy as np

#: Texts of one call: with more of them the cache is left, with fewer the calls cost more than the arithmetic.
BATCH = 16


class Token(NamedTuple):
    """A word with its tag; half-open offsets of the text."""

    start: int
    end: int
    tag: str


class Tagger:
    """One of the taggers of models.yaml.

    Args:
        name: its key there.
        segment: splits a text into words, for the tagger that reads words; None for the one that reads characters.

    Raises:
        ConfigError: the package is missing, or its files are not the ones that were measured.
    """

    def __init__(self, name: str, segment: Callable[[str], Sequence[str]] | None = None) -> None:
        recipe = recipes()["taggers"][name]
        folder = package_folder(recipe["package"])
        weights = [p for p in (folder / recipe["weights"]).iterdir() if p.name != "__model__"]
        texts = [folder / recipe[key] for key in ("words", "tags", "widths") if key in recipe]
        if digest_of([*weights, *texts]) != recipe["sha256"]:
            raise ConfigError(
                f"the files of the names model in {recipe['package']} are not the ones that were measured; "
                f"install version {recipe['version']} of the package again",
                where=name,
            )
        self._segment = segment
        self._ids = {word: int(number) for number, word in _columns(folder / recipe["words"])}
        self._unknown = self._ids["OOV"]
        if "widths" in recipe:
            narrow = dict(_columns(folder / recipe["widths"]))
            for wide, half in narrow.items():
                self._ids[wide] = self._ids.get(half, self._unknown)
        tags = [tag for _, tag in _columns(folder / recipe["tags"])]
        self._tags = [tag.rsplit("-", 1)[0] for tag in tags]
        self._opens = [tag.endswith("-B") or tag == "O" for tag in tags]
        parameters = {path.name: _parameter(path.read_bytes()) for path in weights}
        transitions = parameters["crfw"]
        self._first, self._last, self._moves = transitions[0], transitions[1], transitions[2:]
        self._session = _session(parameters)

    def tag(self, texts: Sequence[str]) -> list[list[Token]]:
        """Words with their tags, for each text."""
        import numpy as np

        encoded = [self._encode(text) for text in texts]
        # Texts of like length together: a batch is as long as its longest text.
        order = sorted((i for i, (ids, _) in enumerate(encoded) if ids), key=lambda i: len(encoded[i][0]))
        answer: list[list[Token]] = [[] for _ in texts]
        for at in range(0, len(order), BATCH):
            places = order[at : at + BATCH]
            lengths = np.array([len(encoded[i][0]) for i in places], np.int32)
            ids = np.zeros((int(lengths.max()), len(places)), np.int64)
            for column, i in enumerate(places):
                ids[: lengths[column], column] = encoded[i][0]
            scores = self._session.run(None, {"ids": ids, "lengths": lengths})[0]
            for i, path in zip(places, self._paths(scores, lengths), strict=True):
                answer[i] = list(self._tokens(path, encoded[i][1]))
        return answer

    def _encode(self, text: str) -> tuple[list[int], list[int]]:
        """Numbers of the units (words that are known, else characters), and their lengths."""
        if self._segment is None:
            return [self._ids.get(c, self._unknown) for c in text], [1] * len(text)
        ids: list[int] = []
        lengths: list[int] = []
        for word in self._segment(text):
            if word in self._ids:
                ids.append(self._ids[word])
                lengths.append(len(word))
            else:
                ids += [self._ids.get(c, self._unknown) for c in word]
                lengths += [1] * len(word)
        return ids, lengths

    def _paths(self, scores: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any]) -> Iterator[list[int]]:
        """The best sequence of tags for each text of a batch (Viterbi)."""
        import numpy as np

        steps, count, _ = scores.shape
        # The best score of every state at every step; the way back is found for the states on the path only.
        best = np.empty_like(scores)
        best[0] = scores[0] + self._first
        moves = self._moves[:, None, :]
        for t in range(1, steps):
            best[t] = (best[t - 1].T[:, :, None] + moves).max(0) + scores[t]
        states = np.empty((steps, count), np.int64)
        states[-1] = (best[lengths - 1, np.arange(count)] + self._last).argmax(1)
        incoming = self._moves.T
        for t in range(steps - 2, -1, -1):
            before = (best[t] + incoming[states[t + 1]]).argmax(1)
            states[t] = np.where(t < lengths - 1, before, states[t + 1])
        for i, length in enumerate(lengths.tolist()):
            yield states[:length, i].tolist()

    def _tokens(self, path: Sequence[int], lengths: Sequence[int]) -> Iterator[Token]:
        at = start = 0
        tag = ""
        for kind, length in zip(path, lengths, strict=True):
            if at > start and (self._opens[kind] or self._tags[kind] != tag):
                yield Token(start, at, tag)
                start = at
            tag = self._tags[kind]
            at += length
        if at > start:
            yield Token(start, at, tag)


def _columns(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file of two columns."""
    for line in path.read_text(encoding="utf-8").split("\n"):
        first, tab, second = line.rstrip("\r").partition("\t")
        if tab and "\t" not in second:
            yield first, second


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _parameter(data: bytes) -> np.ndarray[Any, Any]:
    """A parameter file: version, levels of detail, version, the length of a description, the description, floats.

    The description is a protocol buffer; its field 2 holds the dimensions, one by one or packed.
    """
    import numpy as np

    at = 4
    (levels,) = struct.unpack_from("<Q", data, at)
    at += 8
    for _ in range(levels):
        (size,) = struct.unpack_from("<Q", data, at)
        at += 8 + size
    at += 4
    (size,) = struct.unpack_from("<i", data, at)
    at += 4
    end = at + size
    dimensions: list[int] = []
    while at < end:
        key, at = _varint(data, at)
        value, at = _varint(data, at)
        if key & 7 == 2:
            stop = at + value
            while at < stop:
                item, at = _varint(data, at)
                if key >> 3 == 2:
                    dimensions.append(item)
        elif key >> 3 == 2:
            dimensions.append(value)
    return np.frombuffer(data, np.float32, int(np.prod(dimensions)), end).reshape(dimensions)


def _gru(parameters: dict[str, Any], number: int) -> tuple[Any, Any, Any]:
    """One direction of a layer in the order of ONNX: update, reset, candidate.

    The published network keeps the old state by 1 - update where ONNX keeps it by update: the sign of the update
    gate's parameters turns.
    """
    import numpy as np

    inputs = parameters[f"fc_{number}.w_0"]
    recurrent = parameters[f"gru_{number}.w_0"].reshape(-1)
    bias = parameters[f"fc_{number}.b_0"].reshape(-1) + parameters[f"gru_{number}.b_0"].reshape(-1)
    size = bias.size // 3
    gates = recurrent[: 2 * size * size].reshape(size, 2 * size)
    candidate = recurrent[2 * size * size :].reshape(size, size)
    sign = np.repeat(np.array([-1, 1, 1], np.float32), size)
    weights = inputs.T * sign[:, None]
    recurrences = np.concatenate([-gates[:, :size].T, gates[:, size:].T, candidate.T])
    return weights, recurrences, np.concatenate([bias * sign, np.zeros(3 * size, np.float32)])


def _session(parameters: dict[str, Any]) -> Any:
    """The network: embedding, two bidirectional layers, one score per tag. In: ids [steps, texts] and lengths."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    held = [numpy_helper.from_array(np.ascontiguousarray(parameters["word_emb"]), "embedding")]
    nodes = [helper.make_node("Gather", ["embedding", "ids"], ["layer0"])]
    size = parameters["gru_0.b_0"].size // 3
    for layer in (0, 1):
        both = [_gru(parameters, 2 * layer), _gru(parameters, 2 * layer + 1)]
        names = [f"{kind}{layer}" for kind in ("W", "R", "B")]
        held += [
            numpy_helper.from_array(np.stack(pair).astype(np.float32), name)
            for name, pair in zip(names, zip(*both, strict=True), strict=True)
        ]
        shape = f"shape{layer}"
        held.append(numpy_helper.from_array(np.array([0, 0, 2 * size], np.int64), shape))
        nodes += [
            helper.make_node(
                "GRU",
                [f"layer{layer}", *names, "lengths"],
                [f"states{layer}"],
                hidden_size=size,
                direction="bidirectional",
                linear_before_reset=0,
            ),
            helper.make_node("Transpose", [f"states{layer}"], [f"turned{layer}"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"turned{layer}", shape], [f"layer{layer + 1}"]),
        ]
    held.append(numpy_helper.from_array(np.ascontiguousarray(parameters["fc_4.w_0"]), "out_weights"))
    held.append(numpy_helper.from_array(parameters["fc_4.b_0"].reshape(-1), "out_bias"))
    nodes += [
        helper.make_node("MatMul", ["layer2", "out_weights"], ["product"]),
        helper.make_node("Add", ["product", "out_bias"], ["scores"]),
    ]
    tags = parameters["fc_4.b_0"].size
    graph = helper.make_graph(
        nodes,
        "bigru",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["steps", "texts"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["steps", "texts", tags])],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    options = onnxruntime.SessionOptions()
    # One thread: nights share out processes, and a sum's order must not depend on the machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
