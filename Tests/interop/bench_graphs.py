#!/usr/bin/env python3
"""Compares a training of L-GCN (arXiv 2003.13606) by the engine with one of the same size by PyTorch.

bench_graphs.py --fedsim PATH [--data SPEC ...] [--epochs N] [--runs N] [--threads N] [--geometric-nodes N]

Each run is a process of its own, in turn: `fedsim bench graph`, plain PyTorch with a sparse matrix, and PyTorch
Geometric. The table has the median time of a training, without reading the graph, and the peak of resident memory from
when the graph is read; the last columns are PyTorch's time and memory over the engine's. Edges are the number of both
directions for PyTorch. A SPEC is graph:FILE.npz, which all three read, or sbm:NODES, for which PyTorch draws a graph of
the same numbers of nodes, edges, features and classes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

PACKAGES = ["numpy", "torch"]


def resident(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return 1024 * int(line.split()[1])


def read_graph(spec):
    """Features, edges of both directions [2, E], labels, and the nodes for training and test."""
    import numpy as np
    import torch

    kind, _, rest = spec.partition(":")
    path, _, options = rest.partition("?")
    options = dict(option.split("=") for option in options.split("&") if option)
    if kind == "graph":
        file = np.load(path)
        count, width = (int(side) for side in file["x_shape"])
        x = np.zeros((count, width), np.float32)
        rows = np.repeat(np.arange(count), np.diff(file["x_indptr"]))
        x[rows, file["x_indices"]] = file["x_data"]
        edges = file["edges"].astype(np.int64)
        labels, test = file["y"].astype(np.int64), file["test_idx"]
        train = file["train_idx"]
        if options.get("split") == "full":
            others = np.concatenate([file["val_idx"], test])
            train = np.setdiff1d(np.flatnonzero(labels >= 0), others)
    else:
        count, draws = int(path), int(path) * int(options.get("degree", 10)) // 2
        width, classes = int(options.get("features", 100)), int(options.get("classes", 7))
        random = np.random.default_rng(0)
        edges = random.integers(0, count, (draws, 2))
        x = np.zeros((count, width), np.float32)
        for _ in range(int(options.get("words", 10))):
            x[np.arange(count), random.integers(0, width, count)] += 1
        labels = random.integers(0, classes, count)
        order = random.permutation(count)
        train, test = order[: count * 3 // 5], order[count * 4 // 5 :]
    edges = edges[edges[:, 0] != edges[:, 1]]
    keys = np.unique(np.concatenate([edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]]))
    both = np.stack([keys % count, keys // count])
    return (torch.from_numpy(x), torch.from_numpy(both), torch.from_numpy(labels),
            torch.from_numpy(np.sort(train).astype(np.int64)), torch.from_numpy(test.astype(np.int64)))


class Plain:
    """P = D^-1 (A + I) + I as one sparse matrix."""

    def __init__(self, edges, count):
        import torch

        own = 1 / (torch.bincount(edges[1], minlength=count) + 1).float()
        nodes = torch.arange(count)
        indices = torch.cat([edges.flip(0), nodes.expand(2, -1)], 1)
        values = torch.cat([own[edges[1]], 1 + own])
        self.matrix = torch.sparse_coo_tensor(indices, values, (count, count)).coalesce().to_sparse_csr()

    def __call__(self, x):
        return self.matrix @ x


class Geometric:
    """The same as messages along edges with weights."""

    def __init__(self, edges, count):
        import torch
        from torch_geometric.nn import MessagePassing

        class Propagation(MessagePassing):
            def forward(self, x, edges, weights):
                return self.propagate(edges, x=x, edge_weight=weights)

            def message(self, x_j, edge_weight):
                return edge_weight.view(-1, 1) * x_j

        own = 1 / (torch.bincount(edges[1], minlength=count) + 1).float()
        nodes = torch.arange(count)
        self.edges = torch.cat([edges, nodes.expand(2, -1)], 1)
        self.weights = torch.cat([own[edges[1]], 1 + own])
        self.module = Propagation(aggr="add")

    def __call__(self, x):
        return self.module(x, self.edges, self.weights)


def weight(rows, columns):
    import torch

    return torch.nn.Parameter(torch.empty(rows, columns).uniform_(-1, 1) / columns**0.5)


def layer_wise(propagate, x, labels, train, options):
    """Trains one layer after the other on rows that are propagated once. Returns the weights and the classifier."""
    import torch
    import torch.nn.functional as F

    weights, classifier, steps = [], weight(int(labels.max()) + 1, options.width), 0
    for layer in range(options.depth):
        with torch.no_grad():
            z = propagate(x)
        own = weight(options.width, z.shape[1])
        optimiser = torch.optim.Adam([own, classifier], lr=options.rate)
        for _ in range(options.epochs):
            order = train[torch.randperm(len(train))]
            for batch in order[: len(order) // options.batch * options.batch].split(options.batch):
                loss = F.cross_entropy(torch.relu(z[batch] @ own.T) @ classifier.T, labels[batch])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                steps += 1
        with torch.no_grad():
            x = torch.relu(z @ own.T)
        weights.append(own)
    return weights, classifier, steps


def end_to_end(propagate, x, labels, train, options):
    import torch
    import torch.nn.functional as F

    widths = [x.shape[1]] + [options.width] * options.depth
    weights = [weight(after, before) for before, after in zip(widths, widths[1:])]
    classifier, steps = weight(int(labels.max()) + 1, options.width), 0
    optimiser = torch.optim.Adam(weights + [classifier], lr=options.rate)
    with torch.no_grad():
        z = propagate(x)
    for _ in range(options.epochs * options.depth):
        order = train[torch.randperm(len(train))]
        for batch in order[: len(order) // options.batch * options.batch].split(options.batch):
            y = torch.relu(z @ weights[0].T)
            for own in weights[1:]:
                y = torch.relu(propagate(y) @ own.T)
            loss = F.cross_entropy(y[batch] @ classifier.T, labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
    return weights, classifier, steps


def warm_up(options):
    """Trains a small graph, so that what PyTorch loads for its first steps is not timed."""
    import torch

    small = argparse.Namespace(**{**vars(options), "epochs": 1, "batch": 5})
    edges = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    propagate = (Geometric if options.work == "geometric" else Plain)(edges, 10)
    run = layer_wise if options.strategy == "layer-wise" else end_to_end
    run(propagate, torch.rand(10, 4), torch.arange(10) % 2, torch.arange(10), small)


def work(options):
    """One training in this process, as JSON."""
    import warnings

    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x, edges, labels, train, test = read_graph(options.data[0])
    options.batch = min(options.batch, len(train))
    warm_up(options)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    loaded, start = resident("VmRSS:"), time.perf_counter()
    propagate = (Geometric if options.work == "geometric" else Plain)(edges, len(x))
    del edges
    run = layer_wise if options.strategy == "layer-wise" else end_to_end
    weights, classifier, steps = run(propagate, x, labels, train, options)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        for own in weights:
            x = torch.relu(propagate(x) @ own.T)
        right = ((x[test] @ classifier.T).argmax(1) == labels[test]).float().mean()
    print(json.dumps({
        "seconds": seconds, "steps": steps, "accuracy": float(right), "loadedMemoryBytes": loaded,
        "peakMemoryBytes": resident("VmHWM:")}))


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    outcome = subprocess.run(command, stdout=subprocess.PIPE, env=environment)
    if outcome.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {outcome.returncode}")
    return json.loads(outcome.stdout)


def compare(options, data, strategy):
    """Runs all programs in turn, and prints a line for each."""
    shared = ["--data", data, "--strategy", strategy, "--depth", str(options.depth), "--width", str(options.width),
              "--epochs", str(options.epochs), "--batch", str(options.batch), "--threads", str(options.threads)]
    own = [sys.executable, os.path.abspath(__file__)]
    programs = {"engine": [options.fedsim, "bench", "graph", "--json"] + shared,
                "PyTorch": own + ["--work", "plain"] + shared}
    results = {name: [] for name in programs}
    for turn in range(options.runs):
        for name, command in programs.items():
            results[name].append(run(command, options.threads))
        if turn == 0 and options.geometric and results["engine"][0]["nodes"] <= options.geometric_nodes:
            programs["Geometric"] = own + ["--work", "geometric"] + shared
            results["Geometric"] = [run(programs["Geometric"], options.threads)]
    first = results["engine"][0]
    print(f"{data}: {first['nodes']} nodes, {first['edges']} edges, {first['features']} features, "
          f"{first['trained']} train; {strategy}, {options.depth} layers of {options.width}, {first['steps']} steps "
          f"of {first['batch']}, {options.threads} threads, {options.runs} runs")

    def median(name, key):
        return statistics.median(result[key] for result in results[name])

    print("                 seconds      MB   loaded MB   test %   x time   x memory")
    for name in results:
        seconds, peak = median(name, "seconds"), median(name, "peakMemoryBytes")
        print(f"{name:14}{seconds:10.2f}{peak / 1e6:8.0f}{median(name, 'loadedMemoryBytes') / 1e6:12.0f}"
              f"{100 * median(name, 'accuracy'):9.1f}{seconds / median('engine', 'seconds'):9.1f}"
              f"{peak / median('engine', 'peakMemoryBytes'):11.1f}")
    sys.stdout.flush()


def main():
    import importlib.util

    parser = argparse.ArgumentParser()
    parser.add_argument("--fedsim", default=".build/release/fedsim")
    parser.add_argument("--data", action="append")
    parser.add_argument("--strategy", action="append", choices=["layer-wise", "end-to-end"])
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--geometric-nodes", type=int, default=200_000, help="the largest graph for it: it gathers "
                        "the features of all edges")
    parser.add_argument("--work", choices=["plain", "geometric"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rate = 5e-3
    if lacking := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        sys.exit(f"{sys.executable} lacks {', '.join(lacking)}: pip install {' '.join(lacking)}")
    if options.work:
        options.strategy = options.strategy[0]
        return work(options)
    options.geometric = importlib.util.find_spec("torch_geometric") is not None
    for data in options.data or ["sbm:20000"]:
        for strategy in options.strategy or ["layer-wise", "end-to-end"]:
            compare(options, data, strategy)


if __name__ == "__main__":
    main()
