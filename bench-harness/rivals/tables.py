"""What `centauri-bench eval --export` wrote, as both rivals read it, and the sets of replicas that they enumerate.

A search for quorums looks at every set of f replicas that may be left out; P(honest) and the marginal distribution at every
set of at most f. With u the probability of a faulty replica's report, the score of a set F is

    P(x) · Π_{i∉F} p_i(x) · Π_{i∈F} u_i

Everything is done with the likelihoods themselves and not their logarithms: each row, and its u, is divided by the largest
of them, so that products of a few stay within float32; where they don't, `lost` says so and the stream is decided anew in float64 with
logarithms. The replicas are split in two halves, so that the product for a set is one multiplication of two products that
were made once, and the sum over x of all pairs is one small matrix product a stream.
"""

import itertools
import json
import math
import pathlib

import numpy as np


class Tables:
    """A work's folder. Making these is what the other side does when it compiles a model: it is not timed."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        load = lambda name: np.load(folder / f"{name}.npy")
        self.header = json.loads((folder / "header.json").read_text())
        work = self.header["work"]
        self.name, self.objective = work["name"], work["objective"]
        self.n, self.f, self.points = work["n"], work["f"], work["points"]
        self.ln_likelihood = load("ln_likelihood")
        self.table_of, self.ln_prior, self.ln_faulty = load("table_of"), load("ln_prior"), load("ln_faulty")
        self.credible, self.model, self.row = load("credible"), load("model"), load("row")
        self.missing_row = self.ln_likelihood.shape[1] - 1
        # A table for each pair of a model and a table of its: likelihoods over the larger of their row's largest and u, so
        # that no factor is above 1. What each row was divided by is kept as a logarithm.
        pairs = sorted({(m, t) for m, row in enumerate(self.table_of) for t in row})
        index = {pair: k for k, pair in enumerate(pairs)}
        rows = self.ln_likelihood.shape[1]
        is_value = (np.arange(rows) != self.missing_row).astype(int)
        ln_u = np.stack([self.ln_faulty[m, is_value] for m, _ in pairs])
        likelihood = np.stack([self.ln_likelihood[t] for _, t in pairs])
        ln_scale = np.maximum(likelihood.max(axis=2), ln_u)
        self.scaled = np.exp(likelihood - ln_scale[:, :, None]).astype(np.float32).reshape(-1, self.points)
        self.u = np.exp(ln_u - ln_scale).astype(np.float32).reshape(-1)
        self.ln_scale = ln_scale.reshape(-1)
        self.first_row = np.array(
            [[index[m, t] * rows for t in row] for m, row in enumerate(self.table_of)], dtype=np.int32
        )
        self.prior = np.exp(self.ln_prior).astype(np.float32)
        self.sets = Sets(self.n, self.f)

    def log_rows(self, stream):
        """L of each replica, ln P(x) and ln u of one stream, in float64."""
        model = self.model[stream]
        tables = self.table_of[model]
        likelihood = self.ln_likelihood[tables, self.row[stream]]
        u = self.ln_faulty[model, np.where(self.row[stream] == self.missing_row, 0, 1)]
        return likelihood, self.ln_prior[model], u


class Sets:
    """Sets of at most f of n replicas to leave out, as pairs of a set in each half."""

    def __init__(self, n, f):
        self.n, self.f = n, f
        self.split = n // 2
        halves = (range(self.split), range(self.split, n))
        self.halves = [
            [s for b in range(f + 1) for s in itertools.combinations(half, b)] for half in halves
        ]
        pairs = [
            (i, j)
            for i, left in enumerate(self.halves[0])
            for j, right in enumerate(self.halves[1])
            if len(left) + len(right) <= f
        ]
        members = [self.halves[0][i] + self.halves[1][j] for i, j in pairs]
        # Quorums in lexicographic order of the replicas that they hold: the first of equal ones is taken.
        quorum = lambda members: tuple(r for r in range(n) if r not in members)
        order = sorted(range(len(pairs)), key=lambda k: (len(members[k]) != f, quorum(members[k])))
        self.pairs = np.array([pairs[k] for k in order], dtype=np.int32)
        self.left_out = np.zeros((len(order), n), dtype=np.float32)
        for k, at in enumerate(order):
            self.left_out[k, list(members[at])] = 1.0
        self.sizes = self.left_out.sum(axis=1).astype(int)
        # The quorums come first.
        self.quorums = int((self.sizes == f).sum())
        # The prior of a set: the number of faulty replicas is uniform, and which ones too.
        self.weight = np.array([1.0 / ((f + 1) * math.comb(n, b)) for b in self.sizes], dtype=np.float32)


def log_decision(tables, stream, ties=1e-6):
    """One stream in float64 with logarithms, set by set: slow, and right where products underflow."""
    sets, objective = tables.sets, tables.objective
    likelihood, prior, u = tables.log_rows(stream)
    score = np.empty((len(sets.sizes), tables.points))
    for k, out in enumerate(sets.left_out.astype(bool)):
        score[k] = prior + likelihood[~out].sum(axis=0) + u[out].sum()
    evidence = logsumexp(score)
    total = evidence + np.log(sets.weight.astype(np.float64))
    whole = logsumexp(total[None, :])[0]
    possible = np.isfinite(evidence[: sets.quorums])
    if not possible.any():
        return None
    honest = 1.0 - np.exp(total - whole) @ sets.left_out
    if objective == "evidence":
        best = int(np.flatnonzero(evidence[: sets.quorums] >= evidence[: sets.quorums].max() - ties)[0])
        quorum = 1.0 - sets.left_out[best]
        distribution = np.exp(score[best] - evidence[best])
        ln_evidence = evidence[best]
    else:
        quorum = most_honest(honest[None, :], tables.n - tables.f)[0]
        weighted = score + np.log(sets.weight.astype(np.float64))[:, None]
        distribution = np.exp(logsumexp(weighted.T) - whole)
        at = int(np.flatnonzero((sets.left_out[: sets.quorums] == 1.0 - quorum).all(axis=1))[0])
        ln_evidence = evidence[at]
    return distribution, quorum, ln_evidence, honest, evidence


def logsumexp(values):
    top = values.max(axis=1)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return top + np.log(np.exp(values - top[:, None]).sum(axis=1))


def first_of_largest(values, ties=2e-6):
    """The first of those that are the largest but for rounding."""
    return (values >= values.max(axis=1, keepdims=True) * np.float32(1.0 - ties)).argmax(axis=1)


def most_honest(honest, count, ties=1e-6):
    """1 for the `count` replicas of largest P(honest), the earliest of those that are equal but for rounding."""
    # Replicas that reported the same have the same probability: rounded to the tie, the earlier comes first.
    order = np.argsort(-np.round(honest / ties), axis=1, kind="stable")[:, :count]
    quorum = np.zeros_like(honest)
    np.put_along_axis(quorum, order, 1.0, axis=1)
    return quorum


def summary(tables, distribution, model):
    """value, confidence, mean, sd, low, high of rows of distributions, in float64."""
    grid = np.arange(tables.points, dtype=np.float64)
    tail = (1.0 - tables.credible[model]) / 2.0
    mean = distribution @ grid
    sd = np.sqrt(np.maximum((distribution * (grid - mean[:, None]) ** 2).sum(axis=1), 0.0))
    cdf = distribution.cumsum(axis=1)
    cdf[:, -1] = 1.0
    low, high = (cdf >= tail[:, None]).argmax(axis=1), (cdf >= (1.0 - tail)[:, None]).argmax(axis=1)
    point = first_of_largest(distribution)
    return np.column_stack([point, distribution.max(axis=1), mean, sd, low, high])


def decide_alone(tables, stream, out):
    """Puts the exact decision of one stream into `out`."""
    found = log_decision(tables, stream)
    if found is None:
        out["decided"][stream] = 0
        return
    distribution, quorum, evidence, honest, _ = found
    numbers = summary(tables, distribution[None, :], tables.model[stream : stream + 1])
    out["numbers"][stream, :6], out["numbers"][stream, 6] = numbers[0], evidence
    out["quorum"][stream], out["honest"][stream] = quorum, honest
