#!/usr/bin/env python3
"""Holds an exported encoder against other software.

check_export.py FOLDER      checks FOLDER's encoder.onnx with onnx and onnxruntime, and its encoder.safetensors
                            with timm (or torchvision) and torch, on the images of expected.safetensors, which
                            also has the representations that the engine gives them, and the classes
                            and confidences at each exit
                            the file of a graph convolutional network is checked with PyTorch Geometric's GCN on
                            the graph of expected.safetensors, which has the logits of every exit; that of a graph
                            attention network with GATConv, and the outputs of every block
check_export.py --packages  says which packages are missing
check_export.py --graphs    exits with 0 if PyTorch Geometric is there

Exit code 0: everything agrees within 1e-4, or 1e-5 on a graph. 1: something does not. 2: packages are missing.
"""

import importlib.util
import json
import struct
import sys
from pathlib import Path

LIMIT, GRAPH_LIMIT = 1e-4, 1e-5
ONNX = ["numpy", "onnx", "onnxruntime"]
RESULTS = ["pandas", "tensorboard"]
TIMM = ["numpy", "torch", "torchvision", "timm", "safetensors"]
GEOMETRIC = ["numpy", "torch", "torch_geometric", "safetensors"]


def missing(packages):
    return [name for name in packages if importlib.util.find_spec(name) is None]


def read(path):
    """A safetensors file's tensors and metadata, with numpy alone."""
    import numpy

    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    texts = header.pop("__metadata__", {})
    body = data[8 + length :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return tensors, texts


def compare_exits(outputs, expected, count):
    """Compares the logits of all exits with the engine's classes and confidences."""
    import numpy

    worst = 0.0
    for logits, classes, confidences in zip(outputs, expected["classes"], expected["confidences"]):
        logits = logits.astype("float64")
        shares = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        own = shares[numpy.arange(count), classes[:count].astype(int)]
        # Of classes within the tolerance, either may be the engine's.
        worst = max(worst, float((shares.max(axis=1) - own).max()))
        worst = max(worst, float(abs(own - confidences[:count]).max()))
    return worst


def check_onnx(folder, images, expected):
    import onnx
    import onnxruntime

    path = str(folder / "encoder.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)], "opset 17 alone"
    texts = {prop.key: prop.value for prop in model.metadata_props}
    assert texts == read(folder / "encoder.safetensors")[1], "both files say the same about themselves"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst, representations = 0.0, expected["representations"]
    exits = [f"exit_{index + 1}" for index in range(len(expected.get("classes", [])))]
    assert [output.name for output in session.get_outputs()] == ["representation"] + exits
    # The batch may have any size.
    for count in {1, 2, len(images)}:
        rows, *logits = session.run(["representation"] + exits, {"image": images[:count]})
        assert rows.shape == representations[:count].shape, f"{rows.shape} for {count} images"
        worst = max(worst, float(abs(rows - representations[:count]).max()))
        worst = max(worst, compare_exits(logits, expected, count) if exits else 0.0)
    return worst


def torch_model(encoder):
    """The geometry in timm or torchvision; None where neither has it."""
    from timm.models.vision_transformer import VisionTransformer
    from torch import nn
    from torchvision.models.resnet import BasicBlock, ResNet

    if encoder["family"] == "vit":
        return VisionTransformer(
            img_size=encoder["image"], patch_size=encoder["patch"], in_chans=encoder["channels"],
            num_classes=0, embed_dim=encoder["width"], depth=encoder["depth"], num_heads=encoder["heads"],
            mlp_ratio=encoder["mlpRatio"])
    if encoder["width"] != 64 or encoder["depth"] != 4:
        return None
    model = ResNet(BasicBlock, [2, 2, 2, 2])
    model.conv1 = nn.Conv2d(encoder["channels"], 64, 3, 1, 1, bias=False)
    model.maxpool, model.fc = nn.Identity(), nn.Identity()
    return model


def check_torch(folder, images, expected):
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    path = folder / "encoder.safetensors"
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    model = torch_model(json.loads(texts["strata.encoder"]))
    if model is None:
        return None
    others = model.load_state_dict(load_file(path), strict="strata.exits" not in texts)
    assert not others.missing_keys, others.missing_keys
    assert all(name.startswith(("exits.", "classifier.")) for name in others.unexpected_keys)
    model.eval()
    with torch.no_grad():
        rows = model(torch.from_numpy(images.copy())).numpy()
    return float(abs(rows - expected["representations"]).max())


def propagation(kind, starts, columns):
    """The entries of P, as edges from neighbour to node with their weights."""
    import torch

    starts, columns = torch.tensor(starts).long(), torch.tensor(columns).long()
    nodes = torch.arange(len(starts) - 1)
    degrees = starts[1:] - starts[:-1]
    rows = nodes.repeat_interleave(degrees)
    if kind == "mean":
        return torch.stack([columns, rows]), 1 / degrees[rows].float()
    own = 1 / (degrees + 1).float()
    edges = torch.stack([torch.cat([columns, nodes]), torch.cat([rows, nodes])])
    return edges, torch.cat([own[rows], 1 + own])


def attention_network(encoder):
    """The blocks of a graph attention network, with GATConv and a linear layer beside it."""
    import torch
    from torch_geometric.nn import GATConv

    class Block(torch.nn.Module):
        def __init__(self, inputs):
            super().__init__()
            width, heads = encoder["width"], encoder["heads"]
            self.conv = GATConv(inputs, width // heads, heads=heads)
            self.skip = torch.nn.Linear(inputs, width, bias=False) if encoder["skip"] else None

        def forward(self, x, edges):
            return torch.nn.functional.elu(self.conv(x, edges) + (self.skip(x) if self.skip else 0))

    model = torch.nn.Module()
    inputs = [encoder["features"]] + [encoder["width"]] * (encoder["depth"] - 1)
    model.blocks = torch.nn.ModuleList([Block(count) for count in inputs])
    return model


def check_attention(encoder, tensors, expected):
    """Compares the output of every block with that of GATConv and a linear layer."""
    import torch

    model = attention_network(encoder)
    model.load_state_dict(tensors, strict=True)
    edges, _ = propagation("mean", expected["starts"], expected["columns"])
    x, worst = torch.from_numpy(expected["features"].copy()), 0.0
    with torch.no_grad():
        for block, outputs in zip(model.blocks, expected["outputs"], strict=True):
            x = block(x, edges)
            worst = max(worst, float(abs(x.numpy() - outputs).max()))
    return worst


def check_geometric(folder, expected):
    """Compares the logits of every exit with those of torch_geometric.nn.GCN, or the outputs of every block."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file
    from torch_geometric.nn import GCN

    path = folder / "encoder.safetensors"
    with safe_open(path, "pt") as file:
        texts = file.metadata()
    encoder, tensors = json.loads(texts["strata.encoder"]), load_file(path)
    if encoder["family"] == "gat":
        return check_attention(encoder, tensors, expected)
    exits = json.loads(texts["strata.exits"])
    edges, weights = propagation(encoder["propagation"], expected["starts"], expected["columns"])
    worst = 0.0
    for depth, logits in zip(exits["depths"], expected["logits"]):
        model = GCN(
            encoder["features"], encoder["width"], depth, out_channels=logits.shape[1], jk="last", bias=False,
            normalize=False)
        state = {name: tensor for name, tensor in tensors.items() if not name.startswith("exits.")}
        if depth < encoder["depth"]:
            state = {name: state[name] for name in model.state_dict()}
            state["lin.weight"] = tensors[f"exits.{depth}.lin.weight"]
        model.load_state_dict(state, strict=True)
        with torch.no_grad():
            own = model(torch.from_numpy(expected["features"].copy()), edges, edge_weight=weights).numpy()
        worst = max(worst, float(abs(own - logits).max()))
    return worst


def check_graph(folder, expected):
    if lacking := missing(GEOMETRIC):
        print(f"{folder.name}: PyTorch Geometric skipped, without {', '.join(lacking)}")
        return True
    worst = check_geometric(folder, expected)
    print(f"{folder.name}: PyTorch Geometric differs by {worst:.1e} at most")
    return worst <= GRAPH_LIMIT


def check(folder):
    expected, _ = read(folder / "expected.safetensors")
    if "columns" in expected:
        return check_graph(folder, expected)
    images = expected["images"]
    good = True
    for name, packages, run in [("onnxruntime", ONNX, check_onnx), ("torch", TIMM, check_torch)]:
        if lacking := missing(packages):
            print(f"{folder.name}: {name} skipped, without {', '.join(lacking)}")
            continue
        worst = run(folder, images, expected)
        if worst is None:
            print(f"{folder.name}: {name} skipped, which has no such encoder")
            continue
        print(f"{folder.name}: {name} differs by {worst:.1e} at most")
        good = good and worst <= LIMIT
    return good


def main():
    if sys.argv[1:] == ["--packages"]:
        lacking = missing(sorted(set(ONNX + TIMM + GEOMETRIC + RESULTS)))
        if lacking:
            print(f"{sys.executable} lacks {', '.join(lacking)}: pip install {' '.join(lacking)}")
        sys.exit(2 if lacking else 0)
    if sys.argv[1:] == ["--graphs"]:
        sys.exit(2 if missing(GEOMETRIC) else 0)
    if missing(ONNX):
        sys.exit(2)
    sys.exit(0 if all([check(Path(folder)) for folder in sys.argv[1:]]) else 1)


if __name__ == "__main__":
    main()
