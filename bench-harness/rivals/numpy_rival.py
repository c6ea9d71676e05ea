"""Works A and B in NumPy: every stream of a chunk at once, in float32. See tables.py for the algorithm.

Arrays are sets × streams × points, so that a product is one multiplication of contiguous memory; a chunk is as large as the
caches hold.
"""

import numpy as np

import tables as common

VERSION = np.__version__


class Numpy:
    """Keeps what a chunk needs, so that a batch allocates little."""

    def __init__(self, tables, chunk=64):
        self.t, self.chunk = tables, chunk
        sets = tables.sets
        n, f, points = tables.n, tables.f, tables.points
        self.flat = sets.pairs[:, 0] * len(sets.halves[1]) + sets.pairs[:, 1]
        # P(honest) of each replica and, last, the whole, as sums over sets.
        weighted = sets.weight[:, None] * (1.0 - sets.left_out)
        self.sums = np.concatenate([weighted, sets.weight[:, None]], axis=1).astype(np.float32)
        self.tail = ((1.0 - tables.credible) / 2.0).astype(np.float32)
        # One product gives the CDF, the whole, the mean and the mean square about the middle of the grid.
        self.middle = points // 2
        grid = np.arange(points) - self.middle
        self.moments = np.column_stack([np.triu(np.ones((points, points))), grid, grid**2]).astype(np.float32)
        # The set left out of a quorum, by a number for each set.
        self.bits = 2.0 ** np.arange(n)
        self.of_code = np.zeros(1 << n, dtype=np.int64)
        codes = (sets.left_out[: sets.quorums] @ self.bits).astype(np.int64)
        self.of_code[codes] = np.arange(sets.quorums)
        # The prior of a set as a matrix over how many either half leaves out.
        sizes = [np.array([len(s) for s in half]) for half in sets.halves]
        by_size = [(np.arange(f + 1)[:, None] == size).astype(np.float32) for size in sizes]
        pair = np.zeros((f + 1, f + 1), dtype=np.float32)
        for a in range(f + 1):
            for b in range(f + 1 - a):
                pair[a, b] = sets.weight[np.flatnonzero(sets.sizes == a + b)[0]]
        self.mix = [pair.T @ by_size[0], by_size[1]]
        self.memory = [np.empty((len(half), chunk, points), dtype=np.float32) for half in sets.halves]

    def half(self, rows, u, which, start):
        """Products over a half of the replicas for every set left out of it: sets × streams × points."""
        sets = self.t.sets
        first, last = (0, sets.split) if which == 0 else (sets.split, self.t.n)
        out = self.memory[which][:, : rows.shape[1]]
        index = {members: k for k, members in enumerate(sets.halves[which])}

        def fill(at, left, product):
            factors = [(left, rows[at])] + ([(left + (at,), u[at])] if len(left) < self.t.f else [])
            for members, factor in factors:
                if at + 1 < last:
                    fill(at + 1, members, factor if product is None else product * factor)
                elif product is None:
                    out[index[members]] = factor
                else:
                    np.multiply(product, factor, out=out[index[members]])

        fill(first, (), start)
        return out

    def decide(self):
        """Every field of every stream: a dictionary of arrays."""
        t = self.t
        streams = len(t.model)
        out = {
            "numbers": np.empty((streams, 7)),
            "quorum": np.empty((streams, t.n), dtype=np.int32),
            "honest": np.empty((streams, t.n)),
            "decided": np.ones(streams, dtype=np.int32),
        }
        lost = []
        with np.errstate(divide="ignore", invalid="ignore"):
            for first in range(0, streams, self.chunk):
                part = slice(first, min(first + self.chunk, streams))
                lost.append(first + np.flatnonzero(self.decide_chunk(part, out)))
        for stream in np.concatenate(lost):
            common.decide_alone(t, int(stream), out)
        return out

    def decide_chunk(self, part, out):
        t, sets = self.t, self.t.sets
        model = t.model[part]
        every = np.arange(len(model))
        at = np.ascontiguousarray((t.first_row[model] + t.row[part]).T)
        rows, u = t.scaled.take(at, axis=0), t.u[at][:, :, None]
        left = self.half(rows, u, 0, t.prior[model])
        right = self.half(rows, u, 1, None)
        # The sum over x of every pair: a small matrix product a stream.
        sums = np.matmul(left.transpose(1, 0, 2), right.transpose(1, 2, 0))
        sums = sums.reshape(len(model), -1).take(self.flat, axis=1)
        totals = sums @ self.sums
        honest = totals[:, : t.n] / totals[:, t.n :]
        quorums = sums[:, : sets.quorums]
        if t.objective == "evidence":
            best = common.first_of_largest(quorums)
            evidence = quorums[every, best]
            i, j = sets.pairs[best, 0], sets.pairs[best, 1]
            distribution = left[i, every] * right[j, every]
            distribution /= evidence[:, None]
            quorum = 1.0 - sets.left_out[best]
        else:
            quorum = common.most_honest(honest, t.n - t.f)
            best = self.of_code[((1.0 - quorum) @ self.bits).astype(np.int64)]
            evidence = quorums[every, best]
            distribution = self.mixture(left, right)
            distribution /= totals[:, t.n :]
        numbers = out["numbers"][part]
        self.summarise(distribution, model, numbers)
        numbers[:, 6] = np.log(evidence) + t.ln_scale[at].sum(axis=0)
        out["quorum"][part] = quorum
        out["honest"][part] = honest
        # Too small for the sum to be trusted in float32.
        return ~(evidence > 1e-30) | ~(totals[:, t.n] > 1e-30)

    def mixture(self, left, right):
        """The sum over all sets, as a sum over how many each half leaves out."""
        streams, points = left.shape[1:]
        a = self.mix[0] @ left.reshape(len(left), -1)
        b = self.mix[1] @ right.reshape(len(right), -1)
        a *= b
        return a.sum(axis=0).reshape(streams, points)

    def summarise(self, distribution, model, numbers):
        points = self.t.points
        numbers[:, 0] = common.first_of_largest(distribution)
        numbers[:, 1] = distribution.max(axis=1)
        sums = distribution @ self.moments
        mean = sums[:, points]
        numbers[:, 2] = mean + self.middle
        numbers[:, 3] = np.sqrt(np.maximum(sums[:, points + 1] - mean * mean, 0.0))
        cdf = sums[:, :points]
        cdf[:, -1] = 1.0
        tail = self.tail[model][:, None]
        numbers[:, 4] = (cdf >= tail).argmax(axis=1)
        numbers[:, 5] = (cdf >= 1.0 - tail).argmax(axis=1)
