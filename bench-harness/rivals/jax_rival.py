"""Works A and B in JAX on the processor: the same algorithm as NumPy's, compiled by XLA. See tables.py."""

import jax
import jax.numpy as jnp
import numpy as np

import tables as common

VERSION = jax.__version__


class Jax:
    """Compiles once for each work; chunks are mapped over within the compiled program."""

    def __init__(self, tables, chunk=128):
        self.t, self.chunk = tables, chunk
        streams = len(tables.model)
        assert streams % chunk == 0, "a batch is a whole number of chunks"
        shape = (streams // chunk, chunk)
        self.inputs = (
            jnp.asarray(tables.model.reshape(shape)),
            jnp.asarray(tables.row.reshape(*shape, tables.n)),
        )
        self.run = jax.jit(lambda model, row: jax.lax.map(self.decide_chunk, (model, row)))

    def half(self, rows, u, which):
        sets = self.t.sets
        first, last = (0, sets.split) if which == 0 else (sets.split, self.t.n)
        products = {}

        def fill(at, left, product):
            if at == last:
                products[left] = product
                return
            fill(at + 1, left, rows[:, at] if product is None else product * rows[:, at])
            if len(left) < self.t.f:
                factor = u[:, at, None]
                without = jnp.broadcast_to(factor, rows[:, at].shape) if product is None else product * factor
                fill(at + 1, left + (at,), without)

        fill(first, (), None)
        return products

    def decide_chunk(self, inputs):
        t, sets = self.t, self.t.sets
        model, row = inputs
        count = model.shape[0]
        at = jnp.asarray(t.first_row)[model] + row
        rows, u = jnp.asarray(t.scaled)[at], jnp.asarray(t.u)[at]
        lefts, rights = self.half(rows, u, 0), self.half(rows, u, 1)
        left = jnp.stack([lefts[s] for s in sets.halves[0]], axis=1) * jnp.asarray(t.prior)[model][:, None, :]
        right = jnp.stack([rights[s] for s in sets.halves[1]], axis=1)
        sums = jnp.einsum("sip,sjp->sij", left, right).reshape(count, -1)
        sums = sums[:, sets.pairs[:, 0] * len(sets.halves[1]) + sets.pairs[:, 1]]
        weighted = sets.weight[:, None] * np.concatenate([1.0 - sets.left_out, np.ones((len(sets.sizes), 1))], axis=1)
        totals = sums @ jnp.asarray(weighted.astype(np.float32))
        honest = totals[:, : t.n] / totals[:, t.n :]
        quorums = sums[:, : sets.quorums]
        every = jnp.arange(count)
        if t.objective == "evidence":
            best = first_of_largest(quorums)
            pair = jnp.asarray(sets.pairs)[best]
            evidence = quorums[every, best]
            distribution = left[every, pair[:, 0]] * right[every, pair[:, 1]] / evidence[:, None]
            quorum = 1.0 - jnp.asarray(sets.left_out)[best]
        else:
            # The rank of each replica: how many are more likely honest, or as likely but for rounding and earlier.
            p = jnp.round(honest / 1e-6)
            earlier = jnp.asarray(np.tril(np.ones((t.n, t.n), dtype=bool), -1))
            ahead = (p[:, None, :] > p[:, :, None]) | ((p[:, None, :] == p[:, :, None]) & earlier)
            quorum = (ahead.sum(axis=2) < t.n - t.f).astype(jnp.float32)
            # The set left out whose members are those not in the quorum.
            overlap = (1.0 - quorum) @ jnp.asarray(sets.left_out[: sets.quorums]).T
            best = overlap.argmax(axis=1)
            evidence = quorums[every, best]
            distribution = self.mixture(left, right)
            distribution = distribution / totals[:, t.n :]
        numbers = self.summarise(distribution, model)
        ln_evidence = jnp.log(evidence) + jnp.asarray(t.ln_scale.astype(np.float32))[at].sum(axis=1)
        lost = ~(evidence > 1e-30) | ~(totals[:, t.n] > 1e-30)
        return numbers, ln_evidence, quorum.astype(jnp.int8), honest, lost

    def mixture(self, left, right):
        t, sets = self.t, self.t.sets
        sizes = [np.array([len(s) for s in half]) for half in sets.halves]
        by_size = [(np.arange(t.f + 1)[:, None] == size).astype(np.float32) for size in sizes]
        pair = np.zeros((t.f + 1, t.f + 1), dtype=np.float32)
        for a in range(t.f + 1):
            for b in range(t.f + 1 - a):
                pair[a, b] = sets.weight[np.flatnonzero(sets.sizes == a + b)[0]]
        a = jnp.einsum("bi,sip->sbp", jnp.asarray(pair.T @ by_size[0]), left)
        b = jnp.einsum("bj,sjp->sbp", jnp.asarray(by_size[1]), right)
        return (a * b).sum(axis=1)

    def summarise(self, distribution, model):
        points = self.t.points
        middle = points // 2
        grid = np.arange(points) - middle
        # One product gives the CDF, the mean and the mean square about the middle of the grid.
        moments = np.column_stack([np.triu(np.ones((points, points))), grid, grid**2]).astype(np.float32)
        sums = distribution @ jnp.asarray(moments)
        cdf, mean = sums[:, :points], sums[:, points]
        sd = jnp.sqrt(jnp.maximum(sums[:, points + 1] - mean * mean, 0.0))
        tail = jnp.asarray(((1.0 - self.t.credible) / 2.0).astype(np.float32))[model][:, None]
        low = (cdf < tail).sum(axis=1)
        high = jnp.minimum((cdf < 1.0 - tail).sum(axis=1), points - 1)
        point = first_of_largest(distribution)
        columns = [point, distribution.max(axis=1), mean + middle, sd, low, high]
        return jnp.stack([c.astype(jnp.float32) for c in columns], axis=1)

    def decide(self):
        t, streams = self.t, len(self.t.model)
        numbers, evidence, quorum, honest, lost = jax.device_get(self.run(*self.inputs))
        out = {
            "numbers": np.column_stack(
                [numbers.reshape(streams, 6).astype(np.float64), evidence.reshape(streams)]
            ),
            "quorum": quorum.reshape(streams, t.n).astype(np.int32),
            "honest": honest.reshape(streams, t.n).astype(np.float64),
            "decided": np.ones(streams, dtype=np.int32),
        }
        for stream in np.flatnonzero(lost.reshape(streams)):
            common.decide_alone(t, int(stream), out)
        return out


def first_of_largest(values, ties=2e-6):
    """The first of those that are the largest but for rounding."""
    return (values >= values.max(axis=1, keepdims=True) * (1.0 - ties)).argmax(axis=1)
