"""Runs both sides in turns on the same core, checks that they decide alike, and prints the ratios."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import threadpoolctl

import jax_rival
import numpy_rival
import tables as common

# Chunks from small to large: each rival is timed with the one that suits it best on this machine.
CHUNKS = {"numpy": (64, 128, 256), "jax": (64, 256, 1024)}
RIVALS = {"numpy": (numpy_rival.Numpy, numpy_rival.VERSION), "jax": (jax_rival.Jax, jax_rival.VERSION)}
# A choice closer than this to its runner-up, in natural-log units (for P(honest): in probability), is a near-tie.
NEAR = 1e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True, help="the program centauri-bench")
    parser.add_argument("--tables", required=True, help="what it exported")
    parser.add_argument("--samples", type=int, default=7)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--out", help="append records of the rivals here (JSON Lines)")
    arguments = parser.parse_args()
    for blas in threadpoolctl.threadpool_info():
        print(f"{blas['internal_api']} {blas['version']}: {blas.get('architecture')}, {blas['num_threads']} thread")
    records, agreed = [], True
    for work in ("A", "B"):
        tables = common.Tables(pathlib.Path(arguments.tables) / work)
        found, alike = measure(arguments, tables)
        records += found
        agreed &= alike
    if arguments.out:
        with open(arguments.out, "a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
    return 0 if agreed else 1


def measure(arguments, tables):
    ours = load_ours(arguments, tables)
    law = Law(tables)
    rivals, agreement = {}, {}
    for name, (make, _) in RIVALS.items():
        chunks = {chunk: make(tables, chunk) for chunk in CHUNKS[name]}
        least = {chunk: min(seconds(rival) for _ in range(3)) for chunk, rival in chunks.items()}
        chunk = min(least, key=least.get)
        rivals[name] = chunks[chunk]
        agreement[name] = law.compare(ours, chunks[chunk].decide())
        print(f"{tables.name}: {name} {RIVALS[name][1]}, chunks of {chunk}: {agreement[name]['text']}")
    times = {name: [] for name in rivals}
    rates = {}
    # In turns, so that whatever else the machine does disturbs all alike.
    for _ in range(arguments.samples):
        for name, rival in rivals.items():
            times[name].append(seconds(rival))
        for record in run_ours(arguments, tables.name):
            by = record["by"]
            key = (by["backend"], by["level"], by["threads"])
            rates.setdefault(key, []).append(record["decisions_per_cpu_s"])
    streams = len(tables.model)
    rate = {name: streams / statistics.median(list_) for name, list_ in times.items()}
    print(f"{tables.name}: decisions in a second of processor time, one core, median of {arguments.samples}")
    for name, value in rate.items():
        print(f"  {name:<14} {value:>12,.0f}")
    for (backend, level, _), list_ in rates.items():
        value = statistics.median(list_)
        against = ", ".join(f"{value / other:.1f} × {name}" for name, other in rate.items())
        print(f"  {backend + ' ' + (level or ''):<14} {value:>12,.0f}   {against}")
    scalar = statistics.median(rates[("scalar", None, 1)])
    records = [
        record_of(tables, name, times[name], rate[name] / scalar, agreement[name], arguments.seed)
        for name in rivals
    ]
    return records, all(found["alike"] for found in agreement.values())


def seconds(rival):
    """Processor time of one batch, of all threads."""
    start = time.process_time()
    rival.decide()
    return time.process_time() - start


def run_ours(arguments, work):
    command = [arguments.bench, "eval", "--work", work, "--backend", "simd", "--threads", "1"]
    command += ["--quick", "--json", "--seed", arguments.seed]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in output.splitlines()]
    return [record for record in records if record["kind"] == "speed"]


def load_ours(arguments, tables):
    folder = pathlib.Path(arguments.tables) / tables.name
    return {name: np.load(folder / f"{name}.npy") for name in ("decided", "numbers", "quorum", "honest")}


class Law:
    """Every set in float64 with logarithms: tells which choices are near-ties."""

    def __init__(self, tables):
        self.tables = tables
        decided = [common.log_decision(tables, stream) for stream in range(len(tables.model))]
        self.near_value = np.zeros(len(decided), dtype=bool)
        self.near_quorum = np.zeros(len(decided), dtype=bool)
        for stream, found in enumerate(decided):
            if found is None:
                continue
            distribution, quorum, _, honest, evidence = found
            with np.errstate(divide="ignore"):
                self.near_value[stream] = second_gap(np.log(distribution)) < NEAR
            if tables.objective == "evidence":
                self.near_quorum[stream] = second_gap(evidence[: tables.sets.quorums]) < NEAR
            else:
                last_in = honest[quorum == 1.0].min()
                first_out = honest[quorum == 0.0].max()
                self.near_quorum[stream] = last_in - first_out < NEAR

    def compare(self, ours, rival):
        """Ours against a rival's: equal but for near-ties, probabilities to a thousandth."""
        a, b = ours["numbers"], rival["numbers"]
        decided = (ours["decided"] == 1) & (rival["decided"] == 1)
        differ = (a[:, 0] != b[:, 0]) | (ours["quorum"] != rival["quorum"]).any(axis=1)
        differ |= ours["decided"] != rival["decided"]
        near = self.near_value | self.near_quorum
        same = decided & ~differ & ~near
        probability = max(
            np.abs(a[same, 1] - b[same, 1]).max(), np.abs(ours["honest"] - rival["honest"])[decided].max()
        )
        rest = np.abs(a[same, 2:4] - b[same, 2:4]).max()
        interval = (np.abs(a[same, 4:6] - b[same, 4:6]) > 1.0).any(axis=1).sum()
        evidence = np.abs((a[same, 6] - b[same, 6]) / a[same, 6]).max()
        wrong = int((differ & ~near).sum())
        alike = wrong == 0 and probability < 1e-3 and rest < 1e-3 and interval == 0 and evidence < 1e-3
        text = (
            f"{'alike' if alike else 'NOT ALIKE'}: {wrong} of {len(a)} values or quorums differ beyond near-ties, "
            f"{int((differ & near).sum())} of {int(near.sum())} near-ties; probabilities within {probability:.1e}, "
            f"mean and sd within {rest:.1e}, log evidence within {evidence:.1e}"
        )
        return {
            "alike": alike, "text": text, "rounds": len(a), "different": int(differ.sum()),
            "probability": float(probability),
        }


def second_gap(values):
    """How far the second largest is below the largest."""
    first, second = np.sort(values)[::-1][:2]
    return np.inf if second == -np.inf else first - second


def record_of(tables, name, times, against_scalar, agreement, seed):
    median = statistics.median(times)
    spread = 1.4826 * statistics.median(abs(t - median) for t in times) / median
    rate = len(tables.model) / median
    return {
        "kind": "speed",
        "work": tables.header["work"],
        "by": {"backend": name, "level": RIVALS[name][1], "threads": 1},
        "rounds": len(tables.model),
        "samples": len(times),
        "decisions_per_cpu_s": rate,
        "decisions_per_wall_s": rate,
        "decisions_per_busiest_s": rate,
        "spread": spread,
        "against_scalar": against_scalar,
        "agreement": {
            "rounds": agreement["rounds"],
            "different": agreement["different"],
            "probability_error": agreement["probability"],
        },
        "digest": "",
        "seed": int(seed),
    }


if __name__ == "__main__":
    sys.exit(main())
