"""From measurements to goals, to RESULTS.md and to the drawing.  Nothing is said here that was not measured: what is
missing in the data is missing on the page."""
import pathlib

from harness import median, quiet, ratios, spread

VARIANTS = {
    "echo": "(a) bare nng echo",
    "pack": "(b) nng + protobuf-c",
    "pack_any": "(b) its nng threads anywhere",
    "grpc_callback": "(c) gRPC C++, callback",
    "grpc_async": "(c) gRPC C++, async",
    "probed": "(d) probed, cached",
    "probed_any": "(d) its nng threads anywhere",
}


# ---- goals ----

class Goal:
    """One line of the table: a ratio or a figure, its bound, and whether it was met."""

    def __init__(self, text, value, bound, at_least=False, unit=""):
        self.text, self.bound, self.at_least, self.unit = text, bound, at_least, unit
        self.value = value if isinstance(value, dict) else {"median": value, "min": value, "max": value}

    @property
    def met(self):
        return self.value["median"] >= self.bound if self.at_least else self.value["median"] <= self.bound


def of_rows(rows, key):
    return spread([row[key] for row in rows])


def quotient(rows, above, below):
    return spread([row[above] / row[below] for row in rows])


def grpc_goals(rows, costs, name, wanted):
    """The cached Probe to one gRPC server, the worst of 16, 64 and 256 in flight."""
    goals = []
    label = VARIANTS[name][4:]
    for text, key, at_least in (("calls/s", "rate", True), ("p99", "p99", False),
                                ("server CPU a call", "cpu_s_per_100k", False)):
        found = [(ratios(rows[f"ipc {n}"]["probed"], rows[f"ipc {n}"][name], key), n) for n in (16, 64, 256)
                 if f"ipc {n}" in rows]
        worst, in_flight = (min if at_least else max)(found, key=lambda item: item[0]["median"])
        goals.append(Goal(f"cached Probe to {label}: {text}, the worst of 16 to 256 in flight (at {in_flight})", worst,
                          wanted[key], at_least))
    if "memory" in wanted and name in costs:
        goals.append(Goal(f"cached Probe to {label}: private memory",
                          costs["probed"]["private_kib"] / costs[name]["private_kib"], wanted["memory"]))
    if "one" in wanted:
        goals.append(Goal(f"cached Probe to {label}: calls/s, one at a time",
                          ratios(rows["ipc 1"]["probed"], rows["ipc 1"][name], "rate"), wanted["one"], True))
    return goals


def closed_goals(closed):
    rows, costs, goals = closed["rows"], closed["costs"], []
    at_64 = rows.get("ipc 64")
    if at_64:
        goals.append(Goal("cached Probe, 64 in flight, ipc: calls/s to (b)",
                          ratios(at_64["probed"], at_64["pack"], "rate"), 0.90, True))
    if at_64 and "grpc_callback" in at_64:
        goals += grpc_goals(rows, costs, "grpc_callback",
                            {"rate": 2.2, "p99": 0.6, "cpu_s_per_100k": 0.5, "memory": 0.35})
        goals += grpc_goals(rows, costs, "grpc_async", {"rate": 1.25, "p99": 1.2, "cpu_s_per_100k": 0.85, "one": 1.0})
    if at_64:
        goals.append(Goal("context switches of the daemon a hit, 64 in flight",
                          of_rows(at_64["probed"], "switches_per_call"), 0.1))
    if "ipc 1" in rows:
        goals.append(Goal("cached Probe, one at a time: p50 to (b)",
                          ratios(rows["ipc 1"]["probed"], rows["ipc 1"]["pack"], "p50"), 1.15))
    return goals


def goals_of(data):
    """Every goal that the data have figures for."""
    goals = closed_goals(data["closed_loop"]) if "closed_loop" in data else []
    rows = data.get
    if rows("placement"):
        goals.append(Goal("the daemon's placement of nng's threads to none, 64 in flight, lean client: calls/s",
                          of_rows(data["placement"], "probed_ratio"), 2, True))
    if rows("hits_beside_misses"):
        goals.append(Goal("hits while misses keep every worker busy, p99, to hits alone",
                          of_rows(data["hits_beside_misses"], "ratio"), 1.5))
    if rows("warm_one_at_a_time"):
        goals.append(Goal("warm Probe, one at a time: time beyond the cached call, to (e)",
                          of_rows(data["warm_one_at_a_time"], "ratio"), 2))
    if rows("warm_many"):
        goals.append(Goal("warm Probe, 64 in flight over 8 homes by 2 workers, to both halves one after the other",
                          of_rows(data["warm_many"], "ratio"), 0.7, True))
    if rows("bursts"):
        goals.append(Goal("64 equal cold probes, worker 50 ms", of_rows(data["bursts"], "equal_ms"), 70, unit=" ms"))
        goals.append(Goal("requests of it", of_rows(data["bursts"], "equal_leases"), 1))
        goals.append(Goal("64 different over 8 homes by 2, worker 50 ms, warm, to the ideal 200 ms",
                          spread([row["warm_ms"] / 200 for row in data["bursts"]]), 1.1))
        goals.append(Goal("the same, cold", spread([row["cold_ms"] / 200 for row in data["bursts"]]), 1.25))
    if rows("open_loop"):
        goals.append(Goal("open loop at half the limit: p99.9, to that of (b) at half its limit",
                          ratios(data["open_loop"]["probed"], data["open_loop"]["pack"], "p999"), 1.5))
    if rows("invalidate"):
        goals.append(Goal("Invalidate with 1,000 subscribers, p50 less a bare publish to as many, to none",
                          spread([(row["with"] - row["publish"]) / row["alone"] for row in data["invalidate"]]), 1.5))
        goals.append(Goal("hits beside 20 Invalidate/s with 1,000 subscribers, p99, to the same with none",
                          quotient(data["invalidate"], "hits_beside_crowd", "hits_beside_none"), 1.3))
    if rows("homes_known"):
        medians = [median(values) for values in data["homes_known"].values()]
        goals.append(Goal(f"Invalidate with {', '.join(data['homes_known'])} homes known: greatest p50 to least",
                          max(medians) / min(medians), 1.3))
    if rows("idle_connections"):
        first, last = data["idle_connections"][0], data["idle_connections"][-1]
        goals.append(Goal(f"hits one at a time, p50, with {last['connections']} idle connections, to "
                          f"{first['connections']}",
                          last["p50"] / first["p50"], 1.3))
        goals.append(Goal("memory of an idle connection", last["kib_each"], 40, unit=" KiB"))
    if rows("allocations"):
        goals.append(Goal("allocations of ours a cached call", round(data["allocations"]["own"], 2), 0))
    return goals


# ---- the page ----

def number(value):
    """Three or more digits, as a reader wants them."""
    if value is None:
        return "not measured"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def with_spread(value, unit=""):
    if value["min"] == value["max"]:
        return f"{number(value['median'])}{unit}"
    return f"{number(value['median'])}{unit} ({number(value['min'])} to {number(value['max'])})"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def closed_table(closed, key, transport):
    in_flights = [name.split()[1] for name in closed["rows"] if name.startswith(transport + " ")]
    first = closed["rows"][f"{transport} {in_flights[0]}"]
    return table([""] + [f"{n} in flight" for n in in_flights],
                 [[label] + [with_spread(of_rows(closed["rows"][f"{transport} {n}"][name], key)) for n in in_flights]
                  for name, label in VARIANTS.items() if name in first])


def closed_page(closed):
    lines = ["## A call that is answered at once", "",
             "A closed loop; every server was asked in every round, in turn. Median (least to greatest) of the rounds.",
             ""]
    transports = list(dict.fromkeys(name.split()[0] for name in closed["rows"]))
    for key, title in (("rate", "Calls a second"), ("p50", "p50, µs"), ("p99", "p99, µs"), ("p999", "p99.9, µs")):
        for transport in transports:
            lines += [f"### {title}, {transport}", ""] + closed_table(closed, key, transport)
    for key, title in (("cpu_s_per_100k", "Server CPU seconds per 100,000 calls"),
                       ("client_cpu_s_per_100k", "Client CPU seconds per 100,000 calls"),
                       ("switches_per_call", "Context switches a call, of the server's threads that lived to the end")):
        for transport in transports:
            lines += [f"### {title}, {transport}", ""] + closed_table(closed, key, transport)
    if closed["costs"]:
        lines += ["### Memory and system calls of the server, ipc", ""]
        lines += table(["", "private memory, KiB", "system calls a call, one at a time", "64 in flight"],
                       [[label, number(closed["costs"][name]["private_kib"]),
                         number(closed["costs"][name]["syscalls 1"]), number(closed["costs"][name]["syscalls 64"])]
                        for name, label in VARIANTS.items() if name in closed["costs"]])
    for name, choice in closed["grpc"].items():
        lines += [f"{VARIANTS[name]}, the fastest of those tried: " +
                  "; ".join(f"{when}: {what}" for when, what in choice.items()) + ".", ""]
    return lines


def list_of(title, rows, columns):
    """A table of one measurement: text, key and unit of each figure."""
    return [f"## {title}", ""] + table(["", "median (least to greatest)"],
                                       [[text, with_spread(of_rows(rows, key), unit)] for text, key, unit in columns])


def lease_page(data):
    lines = []
    if "placement" in data:
        lines += list_of("Where the server's nng threads run: 64 in flight, the client anywhere, calls/s",
                         data["placement"], [
            ("(d), `server.nng_cpu` auto", "probed_one", ""), ("(d), any", "probed_any", ""),
            ("(d), auto to any", "probed_ratio", ""),
            ("(b), on one CPU, with two task threads", "here_one", ""),
            ("(b), anywhere", "here_any", ""), ("(b), on one CPU to anywhere", "here_ratio", ""),
            ("(b), on one CPU, with the 16 task threads that nng 1.5.2 starts from 8 CPUs on", "large_one", ""),
            ("(b), the same, anywhere", "large_any", ""), ("(b), the same, on one CPU to anywhere", "large_ratio", "")])
    if "warm_one_at_a_time" in data:
        lines += list_of("A warm probe, one at a time (worker 0 ms), p50", data["warm_one_at_a_time"], [
            ("(e) one round trip over a socketpair, by a thread that is woken for it", "round_trip", " µs"),
            ("the same with a worker, JSON written and parsed, no thread woken", "json_round_trip", " µs"),
            ("cached Probe", "cached", " µs"), ("warm Probe", "warm", " µs")])
    if "warm_many" in data:
        lines += list_of("Warm probes, 64 in flight over 8 homes by 2 workers (0 ms)", data["warm_many"], [
            ("(b), calls/s", "pack", ""),
            ("16 workers on socketpairs, JSON written and parsed, exchanges/s", "pool", ""),
            ("warm Probe, calls/s", "warm", ""), ("the same, each with an api_key, calls/s", "keyed", ""),
            ("p99", "p99", " µs"), ("share that joined another", "joined", ""),
            ("context switches of the daemon a call", "switches", ""),
            ("daemon's CPU seconds per 100,000 calls", "cpu_s_per_100k", "")])
    if "joined" in data:
        lines += list_of("Joined: 64 in flight with one question, always fresh (worker 0 ms)", data["joined"], [
            ("calls/s", "rate", ""), ("p50", "p50", " µs"), ("p99", "p99", " µs"),
            ("share that joined", "joined", ""), ("requests to the worker a call", "leases", "")])
    if "bursts" in data:
        lines += list_of("64 calls at once, a worker taking 50 ms: until the last is answered", data["bursts"], [
            ("equal, cold", "equal_ms", " ms"), ("different over 8 homes by 2 workers, cold", "cold_ms", " ms"),
            ("the same, warm", "warm_ms", " ms")])
    if "spawn" in data:
        lines += list_of("Starting a worker, p50", data["spawn"], [
            ("(f) posix_spawn, the call", "spawn_call", " µs"),
            ("(f) posix_spawn to first answer", "spawn_answer", " µs"), ("cold Probe", "cold", " µs")])
    return lines


def news_page(data):
    lines = []
    if "invalidate" in data:
        rows = data["invalidate"]
        lines += list_of("Invalidate and its event", rows, [
            ("Invalidate, one at a time, no subscriber, p50", "alone", " µs"),
            ("with 1,000 subscribers, p50", "with", " µs"),
            ("a bare PUB socket publishing to 1,000, p50", "publish", " µs"),
            ("from its begin to a subscriber's reading the event, p50", "lateness_p50", " µs"),
            ("p99", "lateness_p99", " µs"),
            ("hits of another home beside 20 a second, no subscriber, p99", "hits_beside_none", " µs"),
            ("the same with 1,000 subscribers, p99", "hits_beside_crowd", " µs")])
        each = spread([(row["with"] - row["alone"]) / 1000 for row in rows])
        lines += [f"A subscriber adds {with_spread(each, ' µs')} to it. Latenesses are those while Invalidate is "
                  "called as fast as it is answered.", ""]
    if "homes_known" in data:
        lines += ["## Invalidate, one at a time, by how many homes are known, p50", ""]
        lines += table(["homes", "median (least to greatest)"],
                       [[f"{int(count):,}", with_spread(spread(values), " µs")]
                        for count, values in data["homes_known"].items()])
    return lines


def company_page(data):
    lines = []
    if "hits_beside_misses" in data:
        lines += list_of("Hits, 16 in flight, beside misses that keep every worker busy", data["hits_beside_misses"], [
            ("alone, p50", "alone_p50", " µs"), ("beside misses, p50", "beside_p50", " µs"),
            ("alone, p99", "alone", " µs"), ("beside misses, p99", "beside", " µs")])
    if "idle_connections" in data:
        lines += ["## Idle connections", ""]
        lines += table(["connections", "hits one at a time, p50", "memory of a connection"],
                       [[f"{row['connections']:,}", f"{number(row['p50'])} µs", f"{number(row['kib_each'])} KiB"]
                        for row in data["idle_connections"]])
    if "open_loop" in data:
        lines += ["## Open loop, Poisson arrivals, latency from when a call was due", ""]
        lines += table(["", "limit (p99 within 10 ms), calls/s", "p50 at half of it", "p99", "p99.9"],
                       [[VARIANTS[name], number(rows[0]["limit"])] +
                        [with_spread(of_rows(rows, key), " µs") for key in ("p50", "p99", "p999")]
                        for name, rows in data["open_loop"].items()])
    if "allocations" in data:
        lines += ["## Allocations a cached call", "",
                  f"Of probed's own code {number(data['allocations']['own'])}, with libraries' "
                  f"{number(data['allocations']['all'])}.", ""]
    return lines


def inside_page(data):
    lines = []
    if "client_cache" in data:
        lines += list_of("The cache of libprobed: the same probe, one at a time", data["client_cache"], [
            ("asked of the daemon, which has it, probes/s", "asked_per_second", ""),
            ("kept by the client, probes/s", "kept_per_second", ""), ("kept to asked", "ratio", "")])
    if "engine" in data:
        engine = data["engine"]
        lines += ["## A step of the engine alone", "",
                  f"No threads, no transport. Of {engine['homes']:,} homes known each takes "
                  f"{number(engine['bytes_with_answer'])} bytes with an answer of 600, "
                  f"{number(engine['bytes_bare'])} without one.", ""]
        lines += table(["", "64 homes known", f"64 of {engine['homes']:,}", "all of them in turn"],
                       [[name] + [with_spread(spread(step[key]), " ns")
                                  for key in ("few_ns", "few_of_many_ns", "many_ns")]
                        for name, step in engine["steps"].items()])
    return lines


def goals_page(goals):
    lines = ["## The goals", ""]
    lines += table(["goal", "bound", "measured", ""],
                   [[goal.text, f"{'≥' if goal.at_least else '≤'} {number(goal.bound)}{goal.unit}",
                     with_spread(goal.value, goal.unit), "met" if goal.met else "**missed**"] for goal in goals])
    return lines


def profile_page(profiles):
    lines = []
    for name, profile in profiles.items():
        lines += [f"## Where the daemon's time goes: {name} probes, 64 in flight", "", "```"] + profile + ["```", ""]
    return lines


def page(data, reasons):
    about = data["about"]
    warning = [] if quiet(about) else [
        "**The machine was not quiet.** These figures are a draft: what others did is in them.", ""]
    lines = ["# What was measured", "",
             "Written by `scripts/bench`; run it again and it is written anew. Everything here is from one run, server "
             "and client on the same machine, and only ratios travel to another.", "",
             f"- **Machine**: {about['machine']}; load average {about['load_before']} before.",
             f"- **Versions**: nng {about['nng']}, protobuf-c {about['protobuf_c']}, gRPC C++ {about['grpc']}, "
             f"{about['compiler']}; all programs {about['flags']}.",
             f"- **Rounds**: {about['rounds']} of {about['seconds']} s each, interleaved.",
             f"- **Messages**: the same `ProbeRequest` and `ProbeResponse` everywhere; (a) sends bytes of that size. "
             "(a), (b) and (d) have one client, `bench-client`, which packs and unpacks, (a) excepted; gRPC has "
             "its own.",
             f"- **CPUs**: nng's threads of the servers on CPU {about['server_cpu']}, the nng client's on CPU "
             f"{about['client_cpu']}, where nothing else is said; gRPC where it was fastest.", "",
             "![Calls a second and p99](results.svg)", ""] + warning
    lines += goals_page(goals_of(data))
    if reasons:
        lines += [reasons.rstrip(), ""]
    if "closed_loop" in data:
        lines += closed_page(data["closed_loop"])
    lines += lease_page(data) + news_page(data) + company_page(data) + inside_page(data)
    lines += profile_page(data.get("profile", {}))
    return "\n".join(lines).rstrip() + "\n"


def write(data, folder):
    """RESULTS.md and results.svg.  Why goals were missed is in REASONS.md beside them, which a person writes."""
    from drawing import draw
    folder = pathlib.Path(folder)
    reasons = folder / "REASONS.md"
    (folder / "RESULTS.md").write_text(page(data, reasons.read_text() if reasons.exists() else ""))
    if "closed_loop" in data:
        (folder / "results.svg").write_text(draw(data))
