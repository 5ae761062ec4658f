"""What every measurement stands on: programs that run for the time of a with block, what /proc says of them, and the
clients, each of which runs to its end and prints one JSON document."""
import contextlib
import json
import os
import pathlib
import platform
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 30


class Bench:
    """Where the programs are, where sockets and homes go, and how long a run is."""

    def __init__(self, build, folder, seconds, rounds):
        self.bin = pathlib.Path(build) / "bin"
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(folder)
        self.seconds = seconds
        self.rounds = rounds
        self.warm_up = min(0.3, seconds / 4)
        self.cpus = sorted(os.sched_getaffinity(0))
        # As the daemon's server.nng_cpu auto: the last CPU is nng's, where there are two.  The clients have the first.
        self.server_cpu = str(self.cpus[-1]) if len(self.cpus) > 1 else "any"
        self.client_cpu = str(self.cpus[0]) if len(self.cpus) > 1 else "any"

    def program(self, name):
        return str(self.bin / name)

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def home(self, name):
        path = self.folder / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(path)

    def homes(self, prefix, count):
        return [self.home(f"{prefix}-{i:02}") for i in range(count)]


def machine():
    """The machine, named."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_gib = int(file.readline().split()[1]) / 1048576
    with open("/etc/os-release", encoding="utf-8") as file:
        system = dict(line.rstrip().split("=", 1) for line in file if "=" in line)["PRETTY_NAME"].strip('"')
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, {memory_gib:.1f} GiB, {system}, Linux {platform.release()}"


QUIET_LOAD = 0.5


def settle():
    """Waits until the load average forgets what we have built, three minutes at most: the rest is others'."""
    due = time.monotonic() + 180
    while os.getloadavg()[0] >= QUIET_LOAD and time.monotonic() < due:
        time.sleep(1)


def quiet(about):
    """Whether nobody else had much to do when the run began."""
    return float(about["load_before"]) <= QUIET_LOAD  # rounded


def version_of(package):
    run = subprocess.run(["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else "absent"


# ---- programs ----

class Program:
    """A program of ours for the time of a with block; ended by its pid."""

    def __init__(self, words, cpu="any", environment=None, **options):
        self.words = [str(word) for word in words]
        self.cpu = cpu
        self.environment = environment
        self.options = options

    def __enter__(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PROBED_")}
        environment.update(self.environment or {})
        self.process = subprocess.Popen(self.words, env=environment, preexec_fn=pinned_to(self.cpu), **self.options)
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pinned_to(cpu):
    """A function for a child that has just been made: to keep to this CPU, where one is named."""
    def pin():
        if cpu != "any":
            os.sched_setaffinity(0, {int(cpu)})
    return pin


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_address(url):
    """Until something listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            connect(url).close()
            return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"nothing listens at {url}")


GREETING = b"\0SP\0\0\x30\0\0"  # of a REQ socket


def connect(url):
    """A connection that has been greeted by an nng REP socket, or is merely open where it is somebody else's."""
    kind, _, address = url.partition("://")
    if kind == "ipc":
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(address)
    else:
        host, port = address.rsplit(":", 1)
        stream = socket.create_connection((host, int(port)))
    stream.settimeout(PATIENCE_S)
    stream.sendall(GREETING)
    stream.recv(8)
    return stream


@contextlib.contextmanager
def probed(bench, name, settings=(), cpu="auto", worker_delay_ms=0, environment=None):
    """The daemon with probeload's worker, on ipc and tcp; gives the program with its URLs."""
    folder = bench.folder / name
    folder.mkdir(mode=0o700, exist_ok=True)
    url, tcp_url = f"ipc://{folder}/rpc.sock", f"tcp://127.0.0.1:{free_port()}"
    words = [bench.program("probed"), "--server-listen", url, "--server-listen", tcp_url, "--server-tcp-trust", "yes",
             "--server-publish", f"ipc://{folder}/events.sock", "--server-nng-cpu", cpu, "--log-level", "warn",
             "--probe-cache-ttl-ms", "3600000",
             "--worker-command", f"'{bench.program('probeload-worker')}' --delay {worker_delay_ms}", *settings]
    with Program(words, environment=environment) as program:
        program.url, program.tcp_url = url, tcp_url
        program.events_url = f"ipc://{folder}/events.sock"
        await_health(bench, url)
        yield program


def await_health(bench, url):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        words = [bench.program("probectl"), "--connect", url, "health"]
        if subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.02)
    raise SystemExit(f"no daemon serves at {url}")


# ---- clients ----

def run_json(words, cpu="any"):
    run = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, preexec_fn=pinned_to(cpu), text=True)
    if not run.stdout.startswith("{"):
        raise SystemExit(f"{' '.join(map(str, words))}: exit {run.returncode}, and no JSON")
    return json.loads(run.stdout)


def lean(bench, url, homes, in_flight=1, mode="probe", seconds=None, **options):
    """One run of bench-client."""
    words = [bench.program("bench-client"), "--url", url, "--mode", mode, "--in-flight", in_flight,
             "--seconds", seconds or bench.seconds, "--warm-up", bench.warm_up, "--nng-cpu", bench.client_cpu]
    for home in homes:
        words += ["--home", home]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), value]
    return checked(run_json(words), url)


def checked(report, name):
    """A run with failed calls measures something else."""
    if report["failed"] > 0:
        raise SystemExit(f"{name}: {report['failed']} of {report['calls']} calls failed")
    return report


def probeload(bench, url, home, **options):
    words = [bench.program("probeload"), "--connect", url, "--home", home, "--json", "--quiet"]
    for name, value in options.items():
        words += ["--" + name.replace("_", "-"), value]
    return run_json(words)


# ---- what /proc says ----

def tasks(pid):
    return pathlib.Path(f"/proc/{pid}/task").iterdir()


def cpu_s(pid):
    """Seconds that its threads have run, those that have ended among them: gRPC's come and go."""
    return time.clock_gettime(~pid << 3 | 2)  # the process's CPU clock, as clock_getcpuclockid(3) makes its id


def switches(pid):
    """Context switches of its threads; not of those that have ended."""
    count = 0
    for task in tasks(pid):
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                count += int(line.split()[1])
    return count


def private_kib(pid):
    """Memory that it shares with nobody."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


class Cost:
    """What a server spends while a with block runs."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.cpu_s, self.switches = cpu_s(self.pid), switches(self.pid)
        return self

    def __exit__(self, *_):
        self.cpu_s = cpu_s(self.pid) - self.cpu_s
        self.switches = switches(self.pid) - self.switches


def calls_made(bench, report):
    """Of the run and of its warm-up, which is not in the report."""
    return report["rate"] * (report["seconds"] + bench.warm_up)


def with_cost(bench, server, measure):
    """The report of a run with what the server spent on it."""
    with Cost(server.pid) as cost:
        report = measure()
    report["cpu_s_per_100k"] = cost.cpu_s * 1e5 / calls_made(bench, report)
    report["switches_per_call"] = cost.switches / calls_made(bench, report)
    report["client_cpu_s_per_100k"] = report["client_cpu_s"] * 1e5 / calls_made(bench, report)
    return report


PERF_START_S = 0.3  # perf does not tell when it begins to count


def syscalls_per_call(bench, server, measure):
    """System calls of the server a call, by perf; None where perf can't."""
    words = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(server.pid)]
    try:
        perf = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return None
    time.sleep(PERF_START_S)
    report = measure()
    perf.send_signal(signal.SIGINT)
    lines = perf.communicate()[1].splitlines()
    counts = [line.split(",")[0] for line in lines if "raw_syscalls" in line]
    if not counts or not counts[0].isdigit():
        return None
    return int(counts[0]) / calls_made(bench, report)


# ---- numbers ----

def median(values):
    return statistics.median(values)


def spread(values):
    """Median, least and greatest."""
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratios(above, below, key):
    """Round by round, so that both had the same machine."""
    return spread([a[key] / b[key] for a, b in zip(above, below)])


def raise_descriptors(wanted):
    """The most descriptors there may be, up to `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    return limit


# ---- a caller for setting up, where speed is nothing ----

def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def invalidate_all(url, homes):
    """Makes these homes known: one Invalidate each, some hundred under way at a time."""
    stream = connect(url)
    method = field(1, b"/probed.v1.ProbeService/Invalidate") + b"\x10" + varint(30000)
    for begin in range(0, len(homes), 256):
        chunk = homes[begin:begin + 256]
        for index, home in enumerate(chunk):
            message = struct.pack(">I", 0x80000000 | index) + method + field(3, field(1, home.encode()))
            stream.sendall(b"\1" + struct.pack(">Q", len(message)) + message)
        for _ in chunk:
            size = struct.unpack(">Q", receive(stream, 9)[1:])[0]
            receive(stream, size)
    stream.close()


def receive(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise SystemExit("the daemon hung up")
        data += more
    return data


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="probed-bench-")
