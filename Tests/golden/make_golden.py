#!/usr/bin/env python3
"""Computes the golden cases of this folder, which the engine must reproduce (fedsim conformance FOLDER).

The script is a reference implementation: torch's functions and automatic differentiation in float64. It
needs torch and no other package. It writes manifest.json and one safetensors file of float32 tensors a case.
Inputs and parameters are random numbers with fixed seeds, rounded to float32 before they are used.

The error of a tensor is the largest |got - expected|, divided by max(1, largest |expected|); it must not
exceed the case's tolerance. The script also computes every case in float32, and fails if the error is above
half the tolerance, because the engine adds numbers in another order and has other rounding errors.

Names: in.* inputs, param.* parameters, out.* results, grad.* gradients of the parameters, and in layers in.dy,
the gradient of the output, and out.dx, that of the input.

local_training performs the optimiser steps of one client. grad.* are the gradients of the first step, of all
parameters that train; out.* are parameters after the last step, with an absolute tolerance of their own
(trained_parameters_tolerance). Parameters whose exact gradient is 0, or 0 in part, are not among out.*: AdamW
would amplify rounding errors there.
"""

import colorsys
import json
import math
import random
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

FOLDER = Path(__file__).resolve().parent


class Numbers:
    """Random numbers that depend only on a case's name, rounded to float32."""

    def __init__(self, name, dtype):
        self.source = random.Random(name)
        self.dtype = dtype

    def tensor(self, values, shape):
        return torch.tensor(values, dtype=torch.float32).reshape(shape).to(self.dtype)

    def normal(self, *shape, mean=0.0, deviation=1.0):
        count = math.prod(shape)
        return self.tensor([mean + deviation * self.source.gauss(0, 1) for _ in range(count)], shape)

    def uniform(self, *shape):
        return self.tensor([self.source.random() for _ in range(math.prod(shape))], shape)

    def linear(self, outputs, *inputs):
        return self.normal(outputs, *inputs, deviation=1 / math.sqrt(math.prod(inputs)))

    def bias(self, width):
        return self.normal(width, deviation=0.1)

    def gain(self, width):
        return self.normal(width, mean=1.0, deviation=0.1)


# Layers. p holds parameters by name, and `at` is the prefix of a layer's names.


def linear(p, at, x):
    return F.linear(x, p[at + ".weight"], p.get(at + ".bias"))


def layer_norm(p, at, x, eps=1e-6):
    return F.layer_norm(x, x.shape[-1:], p[at + "weight"], p[at + "bias"], eps)


def attention(p, at, x, heads):
    images, tokens, width = x.shape
    qkv = linear(p, at + "qkv", x).reshape(images, tokens, 3, heads, width // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    weights = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(width // heads), dim=-1)
    mixed = (weights @ v).transpose(1, 2).reshape(images, tokens, width)
    return linear(p, at + "proj", mixed)


def mlp(p, at, x):
    return linear(p, at + "fc2", F.gelu(linear(p, at + "fc1", x)))


def block(p, at, x, heads, branches=None):
    """A pre-norm transformer block. The outputs of its residual branches are added to `branches`."""
    r = attention(p, at + "attn.", layer_norm(p, at + "norm1.", x), heads)
    x = x + r
    s = mlp(p, at + "mlp.", layer_norm(p, at + "norm2.", x))
    if branches is not None:
        branches += [r, s]
    return x + s


def stem(p, at, images, patch):
    weight, bias = p[at + "patch_embed.proj.weight"], p[at + "patch_embed.proj.bias"]
    patches = F.conv2d(images, weight, bias, stride=patch).flatten(2).transpose(1, 2)
    first = p[at + "cls_token"].expand(len(images), -1, -1)
    return torch.cat([first, patches], dim=1) + p[at + "pos_embed"]


def basic_block(p, x, stride):
    """The output of a ResNet's block with batch statistics, and that of its branch."""

    def norm(at, x):
        return F.batch_norm(x, None, None, p[at + ".weight"], p[at + ".bias"], training=True)

    hidden = F.relu(norm("bn1", F.conv2d(x, p["conv1.weight"], stride=stride, padding=1)))
    branch = norm("bn2", F.conv2d(hidden, p["conv2.weight"], padding=1))
    if "downsample.0.weight" in p:
        x = norm("downsample.1", F.conv2d(x, p["downsample.0.weight"], stride=stride))
    return F.relu(branch + x), branch


def head(p, at, x, layers, normalises_output=True):
    """Linear, BatchNorm, ReLU …; the last BatchNorm has no affine part. All with the batch's statistics."""
    for index in range(layers):
        x = linear(p, f"{at}{3 * index}", x)
        if index == layers - 1 and not normalises_output:
            return x
        norm = f"{at}{3 * index + 1}."
        x = F.batch_norm(x, None, None, p.get(norm + "weight"), p.get(norm + "bias"), training=True, eps=1e-5)
        if index < layers - 1:
            x = F.relu(x)
    return x


# The parameters of layers.


def attention_parameters(n, at, width):
    return {
        at + "qkv.weight": n.linear(3 * width, width),
        at + "qkv.bias": n.bias(3 * width),
        at + "proj.weight": n.linear(width, width),
        at + "proj.bias": n.bias(width),
    }


def mlp_parameters(n, at, width, hidden):
    return {
        at + "fc1.weight": n.linear(hidden, width),
        at + "fc1.bias": n.bias(hidden),
        at + "fc2.weight": n.linear(width, hidden),
        at + "fc2.bias": n.bias(width),
    }


def norm_parameters(n, at, width):
    return {at + "weight": n.gain(width), at + "bias": n.bias(width)}


def block_parameters(n, at, width, hidden):
    return {
        **norm_parameters(n, at + "norm1.", width),
        **attention_parameters(n, at + "attn.", width),
        **norm_parameters(n, at + "norm2.", width),
        **mlp_parameters(n, at + "mlp.", width, hidden),
    }


def stem_parameters(n, at, width, channels, patch, tokens):
    return {
        at + "cls_token": n.normal(1, 1, width, deviation=0.5),
        at + "pos_embed": n.normal(1, tokens, width, deviation=0.5),
        at + "patch_embed.proj.weight": n.linear(width, channels, patch, patch),
        at + "patch_embed.proj.bias": n.bias(width),
    }


def basic_block_parameters(n, inputs, outputs, stride):
    p = {
        "conv1.weight": n.linear(outputs, inputs, 3, 3),
        **norm_parameters(n, "bn1.", outputs),
        "conv2.weight": n.linear(outputs, outputs, 3, 3),
        **norm_parameters(n, "bn2.", outputs),
    }
    if stride > 1 or inputs != outputs:
        p["downsample.0.weight"] = n.linear(outputs, inputs, 1, 1)
        p.update(norm_parameters(n, "downsample.1.", outputs))
    return p


def head_parameters(n, at, widths, bias):
    p = {}
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        p[f"{at}{3 * index}.weight"] = n.linear(outputs, inputs)
        if bias:
            p[f"{at}{3 * index}.bias"] = n.bias(outputs)
        if index < len(widths) - 2:
            p.update(norm_parameters(n, f"{at}{3 * index + 1}.", outputs))
    return p


# Losses.


def info_nce(q, k, temperature):
    similarities = F.normalize(q, dim=1) @ F.normalize(k, dim=1).T / temperature
    return F.cross_entropy(similarities, torch.arange(len(q)))


def nt_xent(z1, z2, temperature):
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    similarities = z @ z.T / temperature
    itself = torch.eye(len(z), dtype=torch.bool)
    positives = torch.arange(len(z)).roll(len(z1))
    return F.cross_entropy(similarities.masked_fill(itself, -math.inf), positives)


def off_diagonal(matrix):
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def vicreg(z1, z2, similarity=25.0, variance=25.0, covariance=1.0):
    """The loss of VICReg, with the means of its authors' code."""
    loss = similarity * F.mse_loss(z1, z2)
    for z in (z1, z2):
        deviations = (z.var(dim=0) + 1e-4).sqrt()
        covariances = z.T.cov()
        loss = loss + variance / 2 * F.relu(1 - deviations).mean()
        loss = loss + covariance * off_diagonal(covariances).square().sum() / z.shape[1]
    return loss


def barlow(z1, z2, off_diagonal_weight=0.005):
    correlations = z1.T @ z2 / len(z1)
    off = off_diagonal_weight * off_diagonal(correlations).square().sum()
    return (1 - correlations.diagonal()).square().sum() + off


def byol(q, k):
    return (2 - 2 * F.cosine_similarity(q, k, dim=1)).mean()


# Cases of layers, losses, the optimiser and aggregation. Each takes random numbers and returns tensors.


def differentiated(x, p, dy, function, input_name="in.x"):
    """The tensors of a layer's case: output, and gradients of input and parameters for the gradient dy."""
    variables = {name: value.clone().requires_grad_() for name, value in p.items()}
    x = x.clone().requires_grad_()
    y = function(variables, x)
    (y * dy).sum().backward()
    tensors = {input_name: x, "in.dy": dy, "out.y": y}
    if input_name == "in.x":
        tensors["out.dx"] = x.grad
    for name, variable in variables.items():
        tensors["param." + name] = variable
        tensors["grad." + name] = variable.grad
    return tensors


def layer_norm_case(n, rows, width, eps):
    x = n.normal(rows, width, mean=0.5, deviation=2.0)
    p = norm_parameters(n, "", width)
    return differentiated(x, p, n.normal(rows, width), lambda p, x: layer_norm(p, "", x, eps))


def attention_case(n, shape, heads):
    p = attention_parameters(n, "", shape[-1])
    return differentiated(n.normal(*shape), p, n.normal(*shape), lambda p, x: attention(p, "", x, heads))


def mlp_case(n, shape, hidden):
    p = mlp_parameters(n, "", shape[-1], hidden)
    return differentiated(n.normal(*shape), p, n.normal(*shape), lambda p, x: mlp(p, "", x))


def block_case(n, shape, hidden, heads):
    p = block_parameters(n, "", shape[-1], hidden)
    return differentiated(n.normal(*shape), p, n.normal(*shape), lambda p, x: block(p, "", x, heads))


def basic_block_case(n, shape, channels, stride, tau):
    variables = {
        name: value.requires_grad_()
        for name, value in basic_block_parameters(n, shape[1], channels, stride).items()
    }
    side = (shape[2] + stride - 1) // stride
    x, dy = n.normal(*shape).requires_grad_(), n.normal(shape[0], channels, side, side)
    y, branch = basic_block(variables, x, stride)
    kinetic = branch.square().mean() / (2 * tau)
    ((y * dy).sum() + kinetic).backward()
    tensors = {"in.x": x, "in.dy": dy, "out.y": y, "out.kinetic": kinetic, "out.dx": x.grad}
    for name, variable in variables.items():
        tensors["param." + name] = variable
        tensors["grad." + name] = variable.grad
    return tensors


def head_case(n, rows, dims, bias):
    p = head_parameters(n, "", dims, bias)
    x, dy = n.normal(rows, dims[0]), n.normal(rows, dims[-1])
    return differentiated(x, p, dy, lambda p, x: head(p, "", x, len(dims) - 1))


def stem_case(n, shape, patch, width):
    tokens = 1 + (shape[2] // patch) ** 2
    p = stem_parameters(n, "", width, shape[1], patch, tokens)
    images, dy = n.normal(*shape), n.normal(shape[0], tokens, width)
    return differentiated(images, p, dy, lambda p, x: stem(p, "", x, patch), "in.images")


def nt_xent_case(n, batch, width, temperature):
    z1, z2 = (n.normal(batch, width).requires_grad_() for _ in range(2))
    loss = nt_xent(z1, z2, temperature)
    loss.backward()
    return {"in.z1": z1, "in.z2": z2, "out.loss": loss, "out.dz1": z1.grad, "out.dz2": z2.grad}


def principal_components_case(n, samples, columns):
    """Scores and shares of variance by singular values; the score of largest magnitude is positive."""
    x = n.normal(samples, columns, mean=3.0) * torch.arange(1, columns + 1, dtype=n.dtype)
    x = x.float().to(n.dtype)  # in.* are float32
    u, s, _ = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    scores = (u * s)[:, :2]
    largest = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    return {
        "in.x": x, "out.points": scores * largest.sign(), "out.explained": (s**2 / (s**2).sum())[:2],
    }


def centred_similarities(x, sigma, epsilon):
    """K H (K H + epsilon N 1)^-1 of a Gaussian kernel whose width grows with the root of the columns."""
    n = len(x)
    squared = ((x[:, None] - x[None]) ** 2).sum(2)
    kh = torch.exp(-squared / (2 * sigma**2 * x.shape[1]))
    kh = kh - kh.mean(1, keepdim=True)
    return kh @ torch.linalg.inv(kh + epsilon * n * torch.eye(n, dtype=x.dtype))


def normalised_hsic_case(n, samples, inputs, features, sigma, epsilon, classes):
    x, z = n.normal(samples, inputs), n.normal(samples, features).requires_grad_()
    labels = torch.arange(samples) ** 2 % classes
    one_hot = F.one_hot(labels, classes).to(x.dtype)
    tensors = {"in.x": x, "in.z": z, "in.labels": labels.to(x.dtype)}
    for name, other in [("x", x), ("y", one_hot)]:
        other = centred_similarities(other, sigma, epsilon)
        value = torch.trace(other @ centred_similarities(z, sigma, epsilon))
        tensors["out.nhsic_" + name] = value
        (tensors["out.dz_" + name],) = torch.autograd.grad(value, z)
    return tensors


def pair_case(n, batch, width, function, **settings):
    q, k = n.normal(batch, width).requires_grad_(), n.normal(batch, width)
    loss = function(q, k, **settings)
    loss.backward()
    return {"in.q": q, "in.k": k, "out.loss": loss, "out.dq": q.grad}


def views_case(n, batch, width, function, deviation=1.0, **settings):
    z1 = n.normal(batch, width, mean=0.2, deviation=deviation)
    z2 = (z1 + n.normal(batch, width, deviation=0.5 * deviation)).to(torch.float32).to(z1.dtype)
    z1, z2 = z1.requires_grad_(), z2.requires_grad_()
    loss = function(z1, z2, **settings)
    loss.backward()
    return {"in.z1": z1, "in.z2": z2, "out.loss": loss, "out.dz1": z1.grad, "out.dz2": z2.grad}


class Lars(torch.optim.Optimizer):
    """LARS (arXiv 1708.03888). Vectors have neither weight decay nor a rate of their own."""

    def __init__(self, variables, lr, weight_decay, momentum, trust_coefficient):
        settings = {"lr": lr, "decay": weight_decay, "momentum": momentum, "trust": trust_coefficient}
        super().__init__(variables, settings)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weights in group["params"]:
                gradient = weights.grad
                if weights.ndim > 1:
                    gradient = gradient + group["decay"] * weights
                    lengths = weights.norm(), gradient.norm()
                    if min(lengths) > 0:
                        gradient = gradient * (group["trust"] * lengths[0] / lengths[1])
                state = self.state[weights]
                state["mean"] = group["momentum"] * state.get("mean", 0) + gradient
                weights -= group["lr"] * state["mean"]


def make_optimiser(variables, kind, lr, weight_decay, momentum=0.9, trust_coefficient=0.001):
    if kind == "adamw":
        return make_adamw(variables, lr, weight_decay)
    if kind == "sgd":
        return torch.optim.SGD(variables, lr=lr, momentum=momentum, weight_decay=weight_decay, foreach=False)
    return Lars(variables, lr, weight_decay, momentum, trust_coefficient)


def momentum_case(n, kind, steps, shape, count, **settings):
    """Optimiser steps of a matrix and a vector."""
    starts = {"matrix": n.normal(*shape), "vector": n.normal(count)}
    variables = {name: value.clone().requires_grad_() for name, value in starts.items()}
    optimiser = make_optimiser(list(variables.values()), kind, **settings)
    tensors = {"in." + name: value for name, value in starts.items()}
    for name, value in starts.items():
        tensors[f"in.{name}_gradients"] = n.normal(steps, *value.shape, deviation=0.3)
    for step in range(steps):
        for name, variable in variables.items():
            variable.grad = tensors[f"in.{name}_gradients"][step].clone()
        optimiser.step()
    tensors.update({"out." + name: variable for name, variable in variables.items()})
    return tensors


def make_adamw(variables, lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8):
    return torch.optim.AdamW(
        variables, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, foreach=False
    )


def adamw_case(n, steps, count, **settings):
    parameter = n.normal(count)
    gradients = n.normal(steps, count, deviation=0.3)
    variable = parameter.clone().requires_grad_()
    optimiser = make_adamw([variable], **settings)
    for gradient in gradients:
        variable.grad = gradient.clone()
        optimiser.step()
    return {"in.parameter": parameter, "in.gradients": gradients, "out.parameter": variable}


def fedavg_case(n, clients, count):
    updates = n.normal(clients, count)
    samples = torch.tensor([float(n.source.randint(1, 500)) for _ in range(clients)], dtype=updates.dtype)
    mean = (samples / samples.sum()) @ updates
    return {"in.updates": updates, "in.samples": samples, "out.aggregate": mean}


def median_case(n, clients, count):
    updates = n.normal(clients, count)
    return {"in.updates": updates, "out.aggregate": updates.quantile(0.5, dim=0)}


def trimmed_mean_case(n, clients, count, trim):
    updates = n.normal(clients, count)
    kept = updates.sort(dim=0).values[trim : clients - trim]
    return {"in.updates": updates, "out.aggregate": kept.mean(dim=0)}


# Augmentations of an image [C, H, W] in 0 … 1, as torchvision defines them for tensors.


def luminance(image):
    red, green, blue = image
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def blended(image, other, factor):
    return (factor * image + (1 - factor) * other).clamp(0, 1)


def hue(image, factor):
    pixels = []
    for red, green, blue in image.flatten(1).T.tolist():
        h, s, v = colorsys.rgb_to_hsv(red, green, blue)
        pixels.append(colorsys.hsv_to_rgb((h + factor) % 1, s, v))
    return torch.tensor(pixels, dtype=image.dtype).T.reshape(image.shape)


def gaussian_blur(image, kernel, sigma):
    offsets = torch.arange(kernel, dtype=image.dtype) - (kernel - 1) / 2
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(image[:, None], [kernel // 2] * 4, mode="reflect")
    return F.conv2d(padded, torch.outer(weights, weights)[None, None])[:, 0]


def resized_crop(image, top, left, height, width, size):
    crop = image[None, :, top : top + height, left : left + width]
    return F.interpolate(crop, size=(size, size), mode="bilinear", align_corners=False, antialias=True)[0]


def augmentation_case(n, shape, function):
    image = n.uniform(*shape)
    return {"in.image": image, "out.image": function(image)}


# Local training.


class Client:
    """The models of a client, and its loss. p holds the online parameters, named as in the case's file."""

    def __init__(self, n, settings):
        self.settings = s = settings
        self.blocks = s["depth"] if s["strategy"] == "e2e" else s["stage"] * s["layers_per_stage"]
        tokens = 1 + (s["image"] // s["patch"]) ** 2
        p = stem_parameters(n, "encoder.", s["dim"], s["channels"], s["patch"], tokens)
        for index in range(self.blocks):
            p.update(block_parameters(n, f"encoder.blocks.{index}.", s["dim"], s["hidden"]))
        p.update(norm_parameters(n, "encoder.norm.", s["dim"]))
        p.update(head_parameters(n, "projector.", s["projector"], s["head_bias"]))
        if s["ssl"] in ("mocov3", "byol"):
            p.update(head_parameters(n, "predictor.", s["predictor"], s["head_bias"]))
        self.p = p
        self.received = {name: value.clone() for name, value in p.items()}
        self.target = {name: value.clone() for name, value in p.items()}
        self.trained = [name for name in p if self.trains(name)]
        for name in self.trained:
            p[name].requires_grad_()

    def trains(self, name):
        """Layer-wise: the blocks of this stage, the last normalisation and the heads; in stage 1 the stem."""
        if self.settings["strategy"] != "lw" or not name.startswith("encoder."):
            return True
        if name.startswith("encoder.blocks."):
            return int(name.split(".")[2]) in self.trained_blocks()
        return name.startswith("encoder.norm.") or self.settings["stage"] == 1

    def trained_blocks(self):
        first = self.blocks - self.settings["layers_per_stage"] if self.settings["strategy"] == "lw" else 0
        return range(first, self.blocks)

    def projections(self, p, views, branches=None):
        """The projections of both views; `branches` receives the outputs of trained residual branches."""
        s = self.settings
        x = stem(p, "encoder.", torch.cat(views), s["patch"])
        for index in range(self.blocks):
            wanted = branches if index in self.trained_blocks() else None
            x = block(p, f"encoder.blocks.{index}.", x, s["heads"], wanted)
        representations = layer_norm(p, "encoder.norm.", x)[:, 0]
        normalises = s["ssl"] != "vicreg"
        return [head(p, "projector.", rows, 3, normalises) for rows in representations.chunk(2)]

    def local_projections(self, views):
        """The projections of local views, whose patches have the positions in the middle of the grid."""
        s, p = self.settings, self.p
        side, small = s["image"] // s["patch"], s["local_size"] // s["patch"]
        first = (side - small) // 2
        grid = p["encoder.pos_embed"][:, 1:].reshape(1, side, side, -1)
        middle = grid[:, first : first + small, first : first + small].flatten(1, 2)
        positions = torch.cat([p["encoder.pos_embed"][:, :1], middle], dim=1)
        x = stem({**p, "encoder.pos_embed": positions}, "encoder.", torch.cat(views), s["patch"])
        for index in range(self.blocks):
            x = block(p, f"encoder.blocks.{index}.", x, s["heads"])
        representations = layer_norm(p, "encoder.norm.", x)[:, 0]
        normalises = s["ssl"] != "vicreg"
        return [head(p, "projector.", rows, 3, normalises) for rows in representations.chunk(len(views))]

    def local_loss(self, views, globals_, keys):
        """The sum of the losses of local views, each with both global views, which have no gradient of it."""
        s, total = self.settings, 0
        pairs = [z.detach() for z in globals_]
        for z in self.local_projections(views):
            if s["ssl"] == "simclr":
                total = total + sum(info_nce(z, pair, s["temperature"]) for pair in pairs) / 2
            elif s["ssl"] == "barlow":
                total = total + sum(barlow(pair, z) for pair in pairs) / 2
            elif s["ssl"] == "vicreg":
                similarity = sum(F.mse_loss(z, pair) for pair in pairs) / 2
                # The spread of one view is that of two equal ones, divided by 2.
                total = total + 25 * similarity + vicreg(z, z) / 2
            else:
                q = head(self.p, "predictor.", z, 2)
                function = byol if s["ssl"] == "byol" else lambda q, k: info_nce(q, k, s["temperature"])
                total = total + sum(function(q, key) for key in keys)
        return total / (len(views) + 1)

    def loss(self, views, local=()):
        """The loss of a batch, its kinetic term, and its share of local views."""
        s = self.settings
        branches, keys = [], []
        z1, z2 = self.projections(self.p, views, branches)
        if s["ssl"] == "simclr":
            loss = nt_xent(z1, z2, s["temperature"])
        elif s["ssl"] == "vicreg":
            loss = vicreg(z1, z2)
        elif s["ssl"] == "barlow":
            loss = barlow(z1, z2)
        else:
            q1, q2 = (head(self.p, "predictor.", z, 2) for z in (z1, z2))
            k1, k2 = keys = self.projections(self.target, views)
            if s["ssl"] == "mocov3":
                loss = info_nce(q1, k2, s["temperature"]) + info_nce(q2, k1, s["temperature"])
            else:
                loss = byol(q1, k2) + byol(q2, k1)
        local_part = torch.zeros_like(loss)
        if local:
            local_part = self.local_loss(local, (z1, z2), keys)
            loss = loss / (len(local) + 1) + local_part
        if s["alignment"] != 0:
            g1, g2 = self.projections(self.received, views)
            pairs = info_nce(z1, g1, s["temperature"]) + info_nce(z2, g2, s["temperature"])
            loss = loss + s["alignment"] * pairs
        if s["proximal"] != 0:
            squares = sum(((self.p[name] - self.received[name]) ** 2).sum() for name in self.trained)
            loss = loss + s["proximal"] / 2 * squares
        kinetic = torch.zeros_like(loss)
        if "kinetic_tau" in s:
            kinetic = sum((r**2).mean() for r in branches) / (2 * s["kinetic_tau"])
        return loss + kinetic, kinetic, local_part

    def move_target(self):
        """The target branch follows the online one."""
        momentum = self.settings["momentum"]
        for name in self.trained:
            self.target[name] = momentum * self.target[name] + (1 - momentum) * self.p[name].detach()


def training_case(n, settings, batch):
    s = settings
    client = Client(n, s)
    tensors = {"param." + name: value for name, value in client.received.items()}
    shape = (s["steps"], batch, s["channels"], s["image"], s["image"])
    images = n.normal(*shape)
    views = [n.normal(*shape, deviation=0.4) + images for _ in range(2)]
    # The sums are rounded to float32, as in the file.
    views = [view.to(torch.float32).to(images.dtype) for view in views]
    tensors.update({"in.view1": views[0], "in.view2": views[1]})
    local = None
    if "local_views" in s:
        side = s["local_size"]
        local = n.normal(s["steps"], s["local_views"], batch, s["channels"], side, side)
        tensors["in.local"] = local
    optimiser = make_optimiser(
        [client.p[name] for name in client.trained], s.get("optimizer", "adamw"), s["lr"], s["weight_decay"],
        s.get("optimizer_momentum", 0.9), s.get("trust_coefficient", 0.001)
    )
    losses, kinetic_terms, local_terms = [], [], []
    for step in range(s["steps"]):
        optimiser.zero_grad()
        own = [] if local is None else list(local[step])
        loss, kinetic, local_part = client.loss([view[step] for view in views], own)
        loss.backward()
        if step == 0:
            tensors.update({"grad." + name: client.p[name].grad.clone() for name in client.trained})
        optimiser.step()
        client.move_target()
        losses.append(loss.detach())
        kinetic_terms.append(kinetic.detach())
        local_terms.append(local_part.detach())
    tensors["out.losses"] = torch.stack(losses)
    if local is not None:
        tensors["out.local_terms"] = torch.stack(local_terms)
    if "kinetic_tau" in s:
        tensors["out.kinetic_terms"] = torch.stack(kinetic_terms)
    for name in client.trained:
        if not is_partly_without_gradient(name):
            tensors["out." + name] = client.p[name]
    return tensors


class MaskedClient(Client):
    """A client that trains a masked autoencoder (arXiv 2111.06377)."""

    def __init__(self, n, settings):
        super().__init__(n, {**settings, "ssl": "simclr", "projector": [settings["dim"]] * 4})
        for name in [name for name in self.p if name.startswith("projector.")]:
            self.trained.remove(name)
            del self.p[name], self.received[name]
        s = settings
        tokens, width = 1 + (s["image"] // s["patch"]) ** 2, s["decoder_width"]
        size = s["channels"] * s["patch"] ** 2
        decoder = {
            "decoder.embed.weight": n.linear(width, s["dim"]),
            "decoder.embed.bias": n.bias(width),
            "decoder.mask_token": n.normal(1, 1, width, deviation=0.5),
            "decoder.pos_embed": n.normal(1, tokens, width, deviation=0.5),
        }
        for index in range(s["decoder_blocks"]):
            decoder.update(block_parameters(n, f"decoder.blocks.{index}.", width, 4 * width))
        decoder.update(norm_parameters(n, "decoder.norm.", width))
        decoder["decoder.pred.weight"] = n.linear(size, width)
        decoder["decoder.pred.bias"] = n.bias(size)
        for name, value in decoder.items():
            self.received[name] = value.clone()
            self.p[name] = value.requires_grad_()
            self.trained.append(name)

    def loss(self, images, shown):
        """The loss of a batch, of which `shown` [B, K] has the numbers of the shown patches."""
        s, p = self.settings, self.p
        patches = F.unfold(images, s["patch"], stride=s["patch"]).transpose(1, 2)
        rows = torch.arange(len(images))[:, None]
        x = stem(p, "encoder.", images, s["patch"])
        x = torch.cat([x[:, :1], x[rows, 1 + shown]], dim=1)
        for index in range(self.blocks):
            x = block(p, f"encoder.blocks.{index}.", x, s["heads"])
        x = linear(p, "decoder.embed", layer_norm(p, "encoder.norm.", x))
        tokens = p["decoder.mask_token"].expand(len(images), patches.shape[1], -1).clone()
        tokens[rows, shown] = x[:, 1:]
        tokens = torch.cat([x[:, :1], tokens], dim=1) + p["decoder.pos_embed"]
        for index in range(s["decoder_blocks"]):
            tokens = block(p, f"decoder.blocks.{index}.", tokens, s["decoder_heads"])
        predictions = linear(p, "decoder.pred", layer_norm(p, "decoder.norm.", tokens))[:, 1:]
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        errors = (predictions - (patches - mean) / (variance + 1e-6).sqrt()).square().mean(dim=-1)
        hidden = torch.ones_like(errors, dtype=torch.bool)
        hidden[rows, shown] = False
        return errors[hidden].mean()


def masked_case(n, settings, batch):
    s = settings
    client = MaskedClient(n, s)
    tensors = {"param." + name: value for name, value in client.received.items()}
    patches = (s["image"] // s["patch"]) ** 2
    count = int(patches * (1 - s["ratio"]))
    images = n.normal(s["steps"], batch, s["channels"], s["image"], s["image"])
    draws = [sorted(n.source.sample(range(patches), count)) for _ in range(s["steps"] * batch)]
    shown = torch.tensor(draws).reshape(s["steps"], batch, count)
    tensors.update({"in.view": images, "in.shown": shown.to(images.dtype)})
    optimiser = make_adamw([client.p[name] for name in client.trained], s["lr"], s["weight_decay"])
    losses = []
    for step in range(s["steps"]):
        optimiser.zero_grad()
        loss = client.loss(images[step], shown[step])
        loss.backward()
        if step == 0:
            tensors.update({"grad." + name: client.p[name].grad.clone() for name in client.trained})
        optimiser.step()
        losses.append(loss.detach())
    tensors["out.losses"] = torch.stack(losses)
    for name in client.trained:
        # Attention's keys have no gradient of their bias.
        if not name.endswith("attn.qkv.bias"):
            tensors["out." + name] = client.p[name]
    return tensors


def is_partly_without_gradient(name):
    """A bias in front of a batch normalisation has no effect, nor has the bias of attention's keys."""
    if name.startswith("encoder."):
        return name.endswith("attn.qkv.bias") or name == "encoder.norm.bias"
    return name.endswith(".bias") and int(name.split(".")[1]) % 3 == 0


# The list of cases.

CASES = []


def add(name, op, tolerance, make, attributes=None):
    CASES.append((name, op, tolerance, make, attributes or {}))


def add_augmentation(name, function, shape=(3, 7, 9), suffix="", **attributes):
    make = lambda n: augmentation_case(n, shape, lambda image: function(image, **attributes))
    add(f"augment_{name}{suffix}", f"augment_{name}", 1e-5, make, attributes)


def add_masked(name, batch, **changes):
    attributes = {
        "layers_per_stage": 1,
        "lr": 0.002,
        "weight_decay": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "steps": 3,
        "trained_parameters_tolerance": 1e-4,
        **changes,
    }
    settings = {**attributes, "hidden": 2 * attributes["dim"], "head_bias": False}
    add("masked_" + name, "masked_training", 5e-5, lambda n: masked_case(n, settings, batch), attributes)


def add_training(name, tolerance, trained_tolerance, batch=6, hidden_ratio=2, head_bias=False, **changes):
    attributes = {
        "layers_per_stage": 1,
        "temperature": 0.25,
        "alignment": 0.0,
        "momentum": 0.99,
        "proximal": 0.0,
        "lr": 0.004,
        "weight_decay": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "eps": 1e-8,
        "steps": 3,
        "trained_parameters_tolerance": trained_tolerance,
        "image": 6,
        "patch": 3,
        "channels": 1,
        **changes,
    }
    settings = {**attributes, "hidden": hidden_ratio * attributes["dim"], "head_bias": head_bias}
    make = lambda n: training_case(n, settings, batch)
    add("training_" + name, "local_training", tolerance, make, attributes)


add("layer_norm", "layer_norm", 1e-5, lambda n: layer_norm_case(n, 11, 13, 1e-6), {"eps": 1e-6})
add("attention", "attention", 1e-5, lambda n: attention_case(n, (2, 7, 12), 2), {"heads": 2})
add("mlp", "mlp", 1e-5, lambda n: mlp_case(n, (3, 5, 9), 18))
add("vit_block", "vit_block", 1e-5, lambda n: block_case(n, (3, 6, 10), 20, 2), {"heads": 2})
for suffix, shape, channels, stride, tau in [
    ("", (5, 4, 6, 6), 4, 1, 0.1),
    ("_projection", (3, 2, 5, 5), 7, 1, 0.5),
    ("_odd_side", (7, 3, 5, 5), 6, 2, 0.03),
]:
    add(
        "basic_block_kinetic" + suffix, "basic_block_kinetic", 2e-5,
        lambda n, shape=shape, channels=channels, stride=stride, tau=tau: basic_block_case(
            n, shape, channels, stride, tau
        ),
        {"stride": stride, "tau": tau},
    )
add("stem", "stem", 1e-5, lambda n: stem_case(n, (2, 3, 6, 6), 2, 10), {"patch": 2})
add("head", "head", 1e-5, lambda n: head_case(n, 9, [10, 14, 14, 6], False), {"dims": [10, 14, 14, 6]})
add("head_bias", "head", 1e-5, lambda n: head_case(n, 8, [9, 11, 7], True), {"dims": [9, 11, 7]})

TEMPERATURE = {"temperature": 0.1}
add("nt_xent", "nt_xent", 1e-5, lambda n: nt_xent_case(n, 5, 7, **TEMPERATURE), TEMPERATURE)
add("info_nce", "info_nce", 1e-5, lambda n: pair_case(n, 7, 9, info_nce, **TEMPERATURE), TEMPERATURE)
add("byol", "byol", 1e-5, lambda n: pair_case(n, 6, 11, byol))

VICREG = {"similarity": 25.0, "variance": 25.0, "covariance": 1.0}
add("vicreg", "vicreg", 1e-5, lambda n: views_case(n, 7, 9, vicreg, deviation=0.8, **VICREG), VICREG)
UNEVEN = {"similarity": 3.0, "variance": 10.0, "covariance": 2.0}
add("vicreg_few", "vicreg", 1e-5, lambda n: views_case(n, 4, 13, vicreg, deviation=0.4, **UNEVEN), UNEVEN)
add(
    "barlow", "barlow", 1e-5, lambda n: views_case(n, 8, 11, barlow, off_diagonal_weight=0.005),
    {"off_diagonal": 0.005},
)
add(
    "barlow_wide", "barlow", 1e-5, lambda n: views_case(n, 5, 17, barlow, off_diagonal_weight=0.3),
    {"off_diagonal": 0.3},
)

SGD = {"lr": 0.05, "weight_decay": 0.03, "momentum": 0.8}
add("sgd", "sgd", 1e-6, lambda n: momentum_case(n, "sgd", 6, (5, 7), 13, **SGD), SGD)
LARS = {"lr": 0.9, "weight_decay": 0.03, "momentum": 0.9, "trust_coefficient": 0.02}
add("lars", "lars", 1e-6, lambda n: momentum_case(n, "lars", 6, (5, 7), 13, **LARS), LARS)

ADAMW = {"lr": 0.002, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.05}
add("adamw", "adamw", 1e-6, lambda n: adamw_case(n, 6, 21, **ADAMW), ADAMW)
add("fedavg", "fedavg", 1e-6, lambda n: fedavg_case(n, 4, 19))
add("median", "coordinate_median", 1e-6, lambda n: median_case(n, 5, 17))
add("median_even", "coordinate_median", 1e-6, lambda n: median_case(n, 6, 17))
add("trimmed_mean", "trimmed_mean", 1e-6, lambda n: trimmed_mean_case(n, 7, 17, 2), {"trim": 2})

HSIC = {"sigma": 0.8, "epsilon": 0.01, "classes": 3}
add("normalised_hsic", "normalised_hsic", 2e-5, lambda n: normalised_hsic_case(n, 11, 9, 6, **HSIC), HSIC)
add("principal_components", "principal_components", 1e-5, lambda n: principal_components_case(n, 13, 7))

add_augmentation("brightness", lambda image, factor: (factor * image).clamp(0, 1), factor=1.4)
add_augmentation("contrast", lambda image, factor: blended(image, luminance(image).mean(), factor), factor=1.35)
add_augmentation("saturation", lambda image, factor: blended(image, luminance(image), factor), factor=0.65)
add_augmentation("hue", hue, factor=-0.07)
add_augmentation("grayscale", lambda image: luminance(image).expand(3, -1, -1))
add_augmentation("hflip", lambda image: image.flip(-1))
add_augmentation(
    "solarize", lambda image, threshold: torch.where(image >= threshold, 1 - image, image), threshold=0.6
)
add_augmentation("gaussian_blur", gaussian_blur, kernel=5, sigma=1.3)
add_augmentation("resized_crop", resized_crop, (3, 10, 12), top=3, left=2, height=5, width=7, size=9)
add_augmentation(
    "resized_crop", resized_crop, (1, 15, 13), suffix="_down", top=1, left=0, height=14, width=11, size=6
)

add_training(
    "lw_stage2_simclr_aligned", 2e-5, 1e-4, strategy="lw", stage=2, ssl="simclr", alignment=0.3,
    channels=3, patch=2, dim=10, depth=3, heads=2, projector=[10, 14, 14, 9],
)
add_training(
    "prog_stage2_mocov3", 5e-5, 1e-4, strategy="prog", stage=2, ssl="mocov3", momentum=0.9, batch=8,
    head_bias=True, dim=12, depth=3, heads=3, projector=[12, 10, 10, 8], predictor=[8, 10, 8],
)
add_training(
    "e2e_byol_proximal", 5e-5, 1e-4, strategy="e2e", stage=2, ssl="byol", momentum=0.95, proximal=0.5,
    lr=0.001, batch=7, hidden_ratio=3, dim=8, depth=2, heads=2, projector=[8, 12, 12, 6],
    predictor=[6, 12, 6],
)
add_training(
    "lw_stage2_simclr_kinetic", 2e-5, 1e-4, strategy="lw", stage=2, ssl="simclr", kinetic_tau=0.1,
    channels=2, patch=2, dim=10, depth=2, heads=2, projector=[10, 12, 12, 8],
)
add_training(
    "lw_stage2_vicreg_lars", 5e-5, 1e-4, strategy="lw", stage=2, ssl="vicreg", batch=8, channels=3, patch=2,
    dim=10, depth=3, heads=2, projector=[10, 14, 14, 9], optimizer="lars", optimizer_momentum=0.9,
    trust_coefficient=0.1, lr=0.02, weight_decay=0.01,
)
add_training(
    "e2e_barlow_sgd", 5e-5, 1e-4, strategy="e2e", stage=1, ssl="barlow", batch=9, head_bias=True, dim=8,
    depth=2, heads=2, projector=[8, 12, 12, 7], optimizer="sgd", optimizer_momentum=0.9, lr=0.003,
    weight_decay=0.01,
)

LOCAL = {"channels": 2, "image": 8, "patch": 2, "dim": 8, "heads": 2, "local_size": 4, "lr": 0.002}
for ssl, strategy, stage in [
    ("simclr", "lw", 2), ("vicreg", "prog", 2), ("barlow", "lw", 1), ("mocov3", "lw", 2), ("byol", "e2e", 1),
]:
    add_training(
        f"local_views_{ssl}", 5e-5, 1e-4, strategy=strategy, stage=stage, ssl=ssl, batch=9, depth=2,
        local_views=1 if ssl == "barlow" else 3, momentum=0.9, projector=[8, 12, 12, 6], predictor=[6, 12, 6],
        **LOCAL,
    )
add_masked(
    "lw_stage2", 7, strategy="lw", stage=2, image=8, patch=2, channels=3, dim=12, depth=3, heads=3, ratio=0.75,
    decoder_width=8, decoder_blocks=1, decoder_heads=2,
)
add_masked(
    "e2e", 6, strategy="e2e", stage=1, image=9, patch=3, channels=1, dim=8, depth=2, heads=2, ratio=0.5,
    decoder_width=6, decoder_blocks=2, decoder_heads=3,
)


def write_safetensors(path, tensors):
    """8 bytes of header length, a JSON header, the numbers; all little-endian."""
    header, numbers = {}, b""
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().to(torch.float32)
        data = struct.pack(f"<{values.numel()}f", *values.flatten().tolist())
        offsets = [len(numbers), len(numbers) + len(data)]
        # A single number has the shape [1].
        header[name] = {"dtype": "F32", "shape": list(values.shape) or [1], "data_offsets": offsets}
        numbers += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def float32_error(expected, tensors, tolerance, attributes):
    """The largest error of float32 tensors, and the tensor that has it."""
    worst, place = 0.0, ""
    for name, tensor in tensors.items():
        difference = (tensor.double() - expected[name]).abs().max().item()
        error = difference / max(1.0, expected[name].abs().max().item())
        if name.startswith("in.") or name.startswith("param."):
            assert error == 0, f"{name} is not in float32"
        if name.startswith(("out.encoder", "out.projector", "out.predictor", "out.decoder")):
            error = difference / attributes["trained_parameters_tolerance"] * tolerance
        if error > worst:
            worst, place = error, name
    return worst, place


def main():
    torch.set_num_threads(1)
    for path in FOLDER.glob("*.safetensors"):
        path.unlink()
    manifest, failures = [], 0
    for name, op, tolerance, make, attributes in CASES:
        expected = make(Numbers(name, torch.float64))
        error, place = float32_error(expected, make(Numbers(name, torch.float32)), tolerance, attributes)
        failures += error > tolerance / 2
        verdict = f"  FAIL at {place}" if error > tolerance / 2 else ""
        print(f"{name:36s}  float32 error {error:.1e}  tolerance {tolerance:.0e}{verdict}")
        file = name + ".safetensors"
        write_safetensors(FOLDER / file, expected)
        case = {"name": name, "op": op, "file": file, "tolerance": tolerance, "attributes": attributes}
        manifest.append(case)
    text = json.dumps({"format": 1, "cases": manifest}, indent=1)
    (FOLDER / "manifest.json").write_text(text + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
