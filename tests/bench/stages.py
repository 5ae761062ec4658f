"""The measurements, one function each.  Every one takes the bench and gives what RESULTS.md tells of it: plain numbers,
round by round where rounds are compared.

Names: (a) echo: bare nng.  (b) pack: nng and protobuf-c.  (c) gRPC C++.  (d) probed.  (e) a round trip between two
processes.  (f) posix_spawn."""
import contextlib
import json
import os
import signal
import struct
import subprocess
import time

from harness import (Program, await_address, calls_made, connect, free_port, invalidate_all, lean, median,
                     private_kib, probed, probeload, raise_descriptors, run_json, syscalls_per_call,
                     with_cost)

IN_FLIGHT = (1, 16, 64, 256)
TRANSPORTS = ("ipc", "tcp")
MANY = 2048  # so many different questions that hardly any two calls under way ask the same
STEADY = ["--pool-requests-max", "1000000000"]  # workers are not replaced while they are measured


# ---- (a) to (d), answered at once ----

class Variant:
    """One server under the closed loop: how it is started, and how it is asked."""

    def __init__(self, server, addresses, measure):
        self.server, self.addresses, self.measure = server, addresses, measure


def nng_server(bench, stack, mode, cpu, environment=None):
    """bench-server on ipc and on tcp: a process each."""
    servers, addresses = {}, {}
    name = f"{mode}-{cpu}{'-more' if environment else ''}"
    for transport in TRANSPORTS:
        url = f"ipc://{bench.folder}/{name}.sock" if transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"
        servers[transport] = stack.enter_context(
            Program([bench.program("bench-server"), mode, url, cpu], environment=environment))
        addresses[transport] = url
        await_address(url)
    return servers, addresses


def lean_variant(bench, servers, addresses, home, mode):
    return Variant(servers, addresses,
                   lambda transport, in_flight, seconds=None: lean(bench, addresses[transport], [home], in_flight, mode,
                                                                   seconds=seconds))


def grpc_server(bench, stack, kind, threads, cpu):
    servers, addresses = {}, {}
    for transport in TRANSPORTS:
        address = (f"unix:{bench.folder}/grpc-{kind}-{threads}-{cpu}.sock" if transport == "ipc"
                   else f"127.0.0.1:{free_port()}")
        servers[transport] = stack.enter_context(
            Program([bench.program("bench-grpc-server"), kind, address, threads], cpu))
        addresses[transport] = address
    return servers, addresses


def grpc_run(bench, address, in_flight, client, seconds=None):
    threads, cpu = client
    report = run_json([bench.program("bench-grpc-client"), address, in_flight, threads, seconds or bench.seconds,
                       bench.warm_up, bench.home("home")], cpu)
    if report["failed"] > 0:
        raise SystemExit(f"gRPC at {address}: {report['failed']} calls failed")
    return report


def grpc_choices(bench, kind):
    """What there is to choose for a gRPC server: threads and CPU."""
    cpus = ["any"] if bench.server_cpu == "any" else ["any", bench.server_cpu]
    return [(threads, cpu) for threads in ((1,) if kind == "callback" else (1, 2)) for cpu in cpus]


def grpc_best(bench, kind, in_flight):
    """The threads and CPUs of server and client that give the most calls, by short runs; the best of two each."""
    clients = [(threads, cpu) for threads in (1, 2) for cpu in dict.fromkeys(("any", bench.client_cpu))
               if threads <= in_flight]
    best = (0, None, None)
    for choice in grpc_choices(bench, kind):
        with contextlib.ExitStack() as stack:
            _, addresses = grpc_server(bench, stack, kind, *choice)
            for client in clients:
                rate = max(grpc_run(bench, addresses["ipc"], in_flight, client, min(0.6, bench.seconds))["rate"]
                           for _ in range(2))
                best = max(best, (rate, choice, client))
    bench.say(f"gRPC {kind}, {in_flight} in flight: best with server (threads, CPU) {best[1]}, client {best[2]}")
    return best[1], best[2]


def grpc_variant(bench, stack, kind):
    """A server as it is best one at a time, and one as it is best with many in flight."""
    few, many = grpc_best(bench, kind, 1), grpc_best(bench, kind, 64)
    parts = {}
    for name, (choice, client) in (("few", few), ("many", many)):
        servers, addresses = grpc_server(bench, stack, kind, *choice)
        parts[name] = (servers, addresses, client)

    def part(in_flight):
        return parts["few" if in_flight == 1 else "many"]

    variant = Variant(lambda transport, in_flight: part(in_flight)[0][transport], None,
                      lambda transport, in_flight, seconds=None: grpc_run(
                          bench, part(in_flight)[1][transport], in_flight, part(in_flight)[2], seconds))
    variant.choice = {"one at a time": describe_choice(few), "more": describe_choice(many)}
    return variant


def describe_choice(best):
    (threads, cpu), (client_threads, client_cpu) = best
    return (f"server {threads} thread{'s' if threads > 1 else ''}, CPU {cpu}; "
            f"client {client_threads} thread{'s' if client_threads > 1 else ''}, CPU {client_cpu}")


def server_of(variant, transport, in_flight):
    return variant.server(transport, in_flight) if callable(variant.server) else variant.server[transport]


def make_variants(bench, stack, with_grpc):
    home = bench.home("home")
    variants = {}
    for name, mode, cpu in (("echo", "echo", bench.server_cpu), ("pack", "pack", bench.server_cpu),
                            ("pack_any", "pack", "any")):
        servers, addresses = nng_server(bench, stack, mode, cpu)
        variants[name] = lean_variant(bench, servers, addresses, home, "echo" if mode == "echo" else "probe")
    for name, cpu in (("probed", "auto"), ("probed_any", "any")):
        daemon = stack.enter_context(probed(bench, name, STEADY, cpu))
        addresses = {"ipc": daemon.url, "tcp": daemon.tcp_url}
        lean(bench, daemon.url, [home], seconds=0.1)  # from here on it is cached
        variants[name] = lean_variant(bench, {"ipc": daemon, "tcp": daemon}, addresses, home, "probe")
    if with_grpc:
        for name, kind in (("grpc_callback", "callback"), ("grpc_async", "async")):
            variants[name] = grpc_variant(bench, stack, kind)
    return variants


def closed_loop(bench, with_grpc, in_flights=IN_FLIGHT, transports=TRANSPORTS, details=True, only=None):
    """Rounds of every variant, or of only these, interleaved."""
    rows, costs = {}, {}
    with contextlib.ExitStack() as stack:
        variants = make_variants(bench, stack, with_grpc)
        variants = {name: variant for name, variant in variants.items() if only is None or name in only}
        for transport in transports:
            for in_flight in in_flights:
                bench.say(f"closed loop, {transport}, {in_flight} in flight")
                reports = {name: [] for name in variants}
                for number in range(bench.rounds):
                    names = list(variants)
                    for name in names[number % len(names):] + names[:number % len(names)]:
                        variant = variants[name]
                        reports[name].append(with_cost(
                            bench, server_of(variant, transport, in_flight),
                            lambda: variant.measure(transport, in_flight)))
                rows[f"{transport} {in_flight}"] = reports
        if details:
            for name, variant in variants.items():
                server = server_of(variant, "ipc", 64)
                costs[name] = {"private_kib": private_kib(server.pid)}
                for in_flight in (1, 64):
                    one = server_of(variant, "ipc", in_flight)
                    costs[name][f"syscalls {in_flight}"] = syscalls_per_call(
                        bench, one, lambda: variant.measure("ipc", in_flight))
        choices = {name: variant.choice for name, variant in variants.items() if hasattr(variant, "choice")}
    return {"rows": rows, "costs": costs, "grpc": choices}


PROCESSORS = 8  # of which nng 1.5.2 starts sixteen task threads, its most


def placement(bench):
    """(d) and (b), 64 in flight, with the server's nng threads on one CPU and anywhere, and a client that is not kept
    anywhere either; (b) also with the task threads that nng starts on a machine of 8 CPUs and more."""
    rows, home = [], bench.home("home")
    library = next(bench.build.rglob("libbench-processors.so"))
    environment = {"LD_PRELOAD": str(library), "BENCH_PROCESSORS": str(PROCESSORS)}
    with contextlib.ExitStack() as stack:
        urls = {}
        for name, more in (("here", None), ("large", environment)):
            for where, cpu in (("one", bench.server_cpu), ("any", "any")):
                urls[f"{name}_{where}"] = nng_server(bench, stack, "pack", cpu, more)[1]["ipc"]
        for where, cpu in (("one", "auto"), ("any", "any")):
            daemon = stack.enter_context(probed(bench, f"placement-{where}", STEADY, cpu))
            urls[f"probed_{where}"] = daemon.url
            lean(bench, daemon.url, [home], seconds=0.1)
        for _ in range(bench.rounds):
            rows.append({name: lean(bench, url, [home], 64, nng_cpu="any")["rate"] for name, url in urls.items()})
    for row in rows:
        for name in ("probed", "here", "large"):
            row[f"{name}_ratio"] = row[f"{name}_one"] / row[f"{name}_any"]
    return rows


# ---- leases ----

def worker(bench):
    return bench.program("probeload-worker")


def warm_one_at_a_time(bench):
    """(d) warm, (d) cached and (e), side by side."""
    rows = []
    home = bench.home("home-warm")
    with probed(bench, "warm", STEADY) as daemon:
        lean(bench, daemon.url, [home], seconds=0.1)
        for _ in range(bench.rounds):
            rows.append({
                "round_trip": run_json([bench.program("bench-workers"), "round-trip", bench.seconds])["p50"],
                "json_round_trip": run_json([bench.program("bench-workers"), "one", bench.seconds,
                                             worker(bench)])["p50"],
                "cached": lean(bench, daemon.url, [home])["p50"],
                "warm": lean(bench, daemon.url, [home], refresh=1)["p50"]})
    for row in rows:
        row["ratio"] = (row["warm"] - row["cached"]) / row["round_trip"]
    return rows


def warm_many(bench):
    """64 in flight over 8 homes by 2 workers, beside what its two halves do alone."""
    rows = []
    homes = bench.homes("pool", 8)
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(probed(bench, "pool", STEADY))
        _, addresses = nng_server(bench, stack, "pack", bench.server_cpu)
        lean(bench, daemon.url, homes, 64, seconds=0.5, refresh=1, providers=MANY)
        for _ in range(bench.rounds):
            pool = run_json([bench.program("bench-workers"), "pool", bench.seconds, 16, worker(bench)])
            pack = lean(bench, addresses["ipc"], homes, 64, providers=MANY)
            warm = with_cost(bench, daemon, lambda: lean(bench, daemon.url, homes, 64, refresh=1,
                                                               providers=MANY))
            keyed = lean(bench, daemon.url, homes, 64, refresh=1, keys=MANY)
            rows.append({"keyed": keyed["rate"], "pool": pool["rate"], "pack": pack["rate"], "warm": warm["rate"],
                         "p99": warm["p99"], "joined": warm["joined"] / warm["calls"],
                         "switches": warm["switches_per_call"],
                         "cpu_s_per_100k": warm["cpu_s_per_100k"]})
    for row in rows:
        row["ratio"] = row["warm"] * (1 / row["pack"] + 1 / row["pool"])
    return rows


def joined(bench):
    """64 in flight, all with the same question, always fresh."""
    home = bench.home("home-joined")
    with probed(bench, "joined", STEADY) as daemon:
        lean(bench, daemon.url, [home], seconds=0.1)
        runs = [lean(bench, daemon.url, [home], 64, refresh=1) for _ in range(bench.rounds)]
    return [{"rate": run["rate"], "p50": run["p50"], "p99": run["p99"], "joined": run["joined"] / run["calls"],
             "leases": run["leases"] / run["calls"]} for run in runs]


def bursts(bench):
    """64 calls at once, a worker taking 50 ms: equal ones, and different ones over 8 homes by 2 workers."""
    rows = []
    for _ in range(bench.rounds):
        with probed(bench, "burst", STEADY, worker_delay_ms=50) as daemon:
            equal = lean(bench, daemon.url, [bench.home("home-equal")], 64, burst=64, warm_up=0)
        with probed(bench, "burst", STEADY, worker_delay_ms=50) as daemon:
            homes = bench.homes("burst", 8)
            cold = lean(bench, daemon.url, homes, 64, burst=64, providers=64, warm_up=0)
            warm = lean(bench, daemon.url, homes, 64, burst=64, providers=64, refresh=1, warm_up=0)
        rows.append({"equal_ms": equal["max"] / 1e3, "equal_leases": equal["leases"], "cold_ms": cold["max"] / 1e3,
                     "warm_ms": warm["max"] / 1e3})
    return rows


def spawn(bench):
    """(f) beside a cold probe of a fresh home."""
    rows = []
    with probed(bench, "cold", ["--pool-workers-max", "1024"]) as daemon:
        for number in range(bench.rounds):
            homes = bench.homes(f"cold-{number}", 32)
            plain = run_json([bench.program("bench-workers"), "spawn", 32, worker(bench)])
            cold = lean(bench, daemon.url, homes, 1, burst=32, warm_up=0)
            rows.append({"spawn_call": plain["call"]["p50"], "spawn_answer": plain["first_answer"]["p50"],
                         "cold": cold["p50"], "cold_share": cold["cold"] / cold["calls"]})
    return rows


# ---- invalidations and events ----

SUBSCRIBER_COUNT = 1000


@contextlib.contextmanager
def subscribers(bench, url, count):
    """So many subscribers, in a process of their own; `report()` ends them and gives what they heard."""
    raise_descriptors(16384)
    process = subprocess.Popen([bench.program("bench-subscribers"), url, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    if process.stdout.readline() != "ready\n":
        raise SystemExit("bench-subscribers did not get ready")

    def report():
        return json.loads(process.communicate()[0])

    process.report = report
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def invalidate(bench):
    """Invalidate one at a time, without and with 1,000 subscribers; how late events are; hits of others beside it."""
    rows = []
    homes, other = bench.homes("inv", 16), bench.home("home-hits")
    with probed(bench, "inv", STEADY) as daemon:
        lean(bench, daemon.url, [other], seconds=0.1)
        for _ in range(bench.rounds):
            row = {"alone": lean(bench, daemon.url, homes, 1, "invalidate")["p50"]}
            row["hits_beside_none"] = hits_beside_invalidations(bench, daemon, homes[0], other)
            row["publish"] = publish_alone(bench)
            with subscribers(bench, daemon.events_url, SUBSCRIBER_COUNT) as crowd:
                row["with"] = lean(bench, daemon.url, homes, 1, "invalidate")["p50"]
                row["hits_beside_crowd"] = hits_beside_invalidations(bench, daemon, homes[0], other)
                heard = crowd.report()
            row["lateness_p50"], row["lateness_p99"], row["deliveries"] = heard["p50"], heard["p99"], heard["count"]
            rows.append(row)
    return rows


def publish_alone(bench):
    """How long a bare PUB socket takes to publish to as many subscribers, p50."""
    url = f"ipc://{bench.folder}/publish.sock"
    words = [bench.program("bench-server"), "publish", url, bench.server_cpu]
    with Program(words, stdout=subprocess.PIPE, text=True) as server:
        await_address(url)
        with subscribers(bench, url, SUBSCRIBER_COUNT):
            time.sleep(bench.seconds)
            server.process.send_signal(signal.SIGTERM)
            return json.loads(server.process.communicate()[0])["p50"]


def hits_beside_invalidations(bench, daemon, home, other):
    """p99 of hits, 16 in flight, while another client makes 20 Invalidate calls a second."""
    words = [bench.program("probeload"), "--connect", daemon.url, "--home", home, "--invalidate", "1", "--rate", "20",
             "--duration", str(bench.seconds + 1), "--json", "--quiet"]
    with Program(words, stdout=subprocess.DEVNULL):
        time.sleep(0.2)  # it connects
        return lean(bench, daemon.url, [other], 16)["p99"]


HOMES_KNOWN = (10, 1000, 100000)


def homes_known(bench, counts=HOMES_KNOWN):
    """Invalidate's p50 with so many homes known."""
    rows = {count: [] for count in counts}
    for count in counts:
        folder = bench.folder / f"known-{count}"
        paths = [str(folder / f"{i // 1000:03}" / f"{i % 1000:03}") for i in range(count)]
        for path in paths:
            os.makedirs(path, mode=0o700)
        with probed(bench, f"known-d{count}", STEADY) as daemon:
            invalidate_all(daemon.url, paths)
            asked = paths[:: max(1, count // 512)][:512]
            for _ in range(bench.rounds):
                rows[count].append(lean(bench, daemon.url, asked, 1, "invalidate")["p50"])
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return {str(count): values for count, values in rows.items()}


# ---- company ----

def hits_beside_misses(bench):
    """Hits, 16 in flight, alone and while misses keep every worker busy."""
    rows = []
    homes, hit = bench.homes("miss", 8), bench.home("home-hit")
    with probed(bench, "company", STEADY, worker_delay_ms=5) as daemon:
        lean(bench, daemon.url, [hit], seconds=0.1)
        for _ in range(bench.rounds):
            alone = lean(bench, daemon.url, [hit], 16)
            words = [bench.program("bench-client"), "--url", daemon.url, "--in-flight", 64, "--refresh", 1,
                     "--providers", 64, "--seconds", bench.seconds + 1]
            for home in homes:
                words += ["--home", home]
            with Program(words, stdout=subprocess.DEVNULL):
                time.sleep(0.3)  # it connects, and its workers start
                beside = lean(bench, daemon.url, [hit], 16)
            rows.append({"alone": alone["p99"], "beside": beside["p99"], "ratio": beside["p99"] / alone["p99"],
                         "alone_p50": alone["p50"], "beside_p50": beside["p50"]})
    return rows


def idle_connections(bench, counts=(10, 5000)):
    """Hits one at a time with so many idle connections beside, and what a connection costs."""
    room = raise_descriptors(16384) - 200
    rows, hit = [], bench.home("home-idle")
    for count in counts:
        count = min(count, room)
        with probed(bench, "idle", [*STEADY, "--server-connections-per-uid", "20000"]) as daemon:
            lean(bench, daemon.url, [hit], seconds=0.3)
            before = private_kib(daemon.pid)
            streams = [connect(daemon.url) for _ in range(count)]
            p50 = median([lean(bench, daemon.url, [hit])["p50"] for _ in range(bench.rounds)])
            rows.append({"connections": count, "p50": p50,
                         "kib_each": (private_kib(daemon.pid) - before) / count})
            for stream in streams:
                stream.close()
    return rows


# ---- open loop ----

def open_loop(bench):
    """The limit (p99 within 10 ms) of (b) and of (d), and p99.9 at half of it."""
    rows, home = {"pack": [], "probed": []}, bench.home("home-open")
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(probed(bench, "open", STEADY))
        _, addresses = nng_server(bench, stack, "pack", bench.server_cpu)
        urls = {"pack": addresses["ipc"], "probed": daemon.url}
        lean(bench, daemon.url, [home], seconds=0.1)
        limits = {name: probeload(bench, url, home, find_limit=10, rate=8000, duration=min(1, bench.seconds),
                                  warm_up=0.2)["limit"]["calls_per_second"] for name, url in urls.items()}
        for _ in range(bench.rounds):
            for name, url in urls.items():
                run = probeload(bench, url, home, rate=limits[name] / 2, duration=2 * bench.seconds, warm_up=0.2)
                rows[name].append({"limit": limits[name], "p50": 1e3 * run["latency_ms"]["p50"],
                                   "p99": 1e3 * run["latency_ms"]["p99"],
                                   "p999": 1e3 * run["latency_ms"]["p99.9"]})
    return rows


# ---- the library, and the engine alone ----

def client_cache(bench):
    """The same probe one at a time, answered by the daemon's cache and by libprobed's."""
    rows, home = [], bench.home("home-client")
    with probed(bench, "client-cache", STEADY) as daemon:
        for _ in range(bench.rounds):
            row = run_json([bench.program("bench-cache"), daemon.url, daemon.events_url, home, bench.seconds])
            row["ratio"] = row["kept_per_second"] / row["asked_per_second"]
            rows.append(row)
    return rows


def engine(bench):
    """What a step of the engine takes, with few homes known and with many, and what a home costs."""
    runs = [run_json([bench.program("bench-engine"), "json"]) for _ in range(bench.rounds)]
    return {"homes": runs[0]["homes"], "bytes_with_answer": runs[0]["bytes_with_answer"],
            "bytes_bare": runs[0]["bytes_bare"],
            "steps": {name: {key: [run["steps"][name][key] for run in runs] for key in one}
                      for name, one in runs[0]["steps"].items()}}


# ---- allocations ----

def allocations(bench):
    """Calls of malloc and its kin a cached call: the program's own, and all with libraries'."""
    path = bench.folder / "allocations.counters"
    library = next(bench.build.rglob("libbench-allocations.so"))
    home = bench.home("home-allocations")
    environment = {"LD_PRELOAD": str(library), "BENCH_ALLOCATIONS": str(path)}
    with probed(bench, "allocations", STEADY, environment=environment) as daemon:
        # The custodian may count with it, and has nothing to do while hits are answered.
        lean(bench, daemon.url, [home], 16)
        before = struct.unpack("QQ", path.read_bytes())
        report = lean(bench, daemon.url, [home], 16)
        after = struct.unpack("QQ", path.read_bytes())
    calls = calls_made(bench, report)
    return {"own": (after[0] - before[0]) / calls, "all": (after[1] - before[1]) / calls}


# ---- where the time goes ----

def profile(bench):
    """Shares of the daemon's time by library and function, hits and warm probes, 64 in flight; {} where perf can't."""
    homes, found = bench.homes("profile", 8), {}
    with probed(bench, "profile", STEADY) as daemon:
        for name, options in (("cached", {}), ("warm", {"refresh": 1, "providers": MANY})):
            lean(bench, daemon.url, homes, 64, seconds=0.3, **options)
            lines = record(bench, daemon,
                           lambda: lean(bench, daemon.url, homes, 64, seconds=2 * bench.seconds, **options))
            if lines:
                found[name] = lines
    return found


def record(bench, daemon, measure):
    data = bench.folder / "perf.data"
    try:
        perf = subprocess.Popen(["perf", "record", "-q", "-F", "999", "-p", str(daemon.pid), "-o", str(data)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return []
    measure()
    perf.send_signal(signal.SIGINT)
    perf.wait()
    words = ["perf", "report", "-q", "--stdio", "-i", str(data), "--sort", "dso,symbol", "--percent-limit", "1"]
    run = subprocess.run(words, capture_output=True, text=True)
    return [line.rstrip(" -").strip() for line in run.stdout.splitlines() if "%" in line][:20]
